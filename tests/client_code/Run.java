import java.io.ByteArrayOutputStream;
import java.io.PrintStream;

/** Runs the program of each class that is named, in one JVM. Prints a line with its name before what it printed. */
public class Run {
    public static void main(String[] names) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (String name : names) {
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            System.setOut(new PrintStream(printed, true, "UTF-8"));
            int status = 0;
            try {
                Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) new String[0]);
            } catch (java.lang.reflect.InvocationTargetException error) {
                status = 1;
                System.out.println(error.getCause());
            }
            out.println("=== " + name + " " + status);
            out.write(printed.toByteArray());
        }
        out.flush();
    }
}
