import contoh.Fault;
import contoh.JenisLocator;
import contoh.JenisPortType;
import contoh.NilaiRow;
import contoh.holders.NilaiResponseDataHolder;
import contoh.holders.SatuResponseDataHolder;
import java.math.BigInteger;
import java.net.URL;
import java.util.Hashtable;
import javax.xml.rpc.Stub;
import javax.xml.rpc.holders.BooleanHolder;
import javax.xml.rpc.holders.IntHolder;
import javax.xml.rpc.holders.StringHolder;
import org.apache.axis.message.SOAPHeaderElement;

/** Calls by the classes that Axis 1.4's WSDL2Java made of ?wsdl=1.1, and prints what came as lines of name=value. */
public class Axis {
    /** java Axis ADDRESS KEY WAY: the key goes as a header of http or of soap. */
    public static void main(String[] words) throws Exception {
        JenisPortType port = new JenisLocator().getjenisSoap11(new URL(words[0]));
        if (words[2].equals("http")) {
            Hashtable<String, String> headers = new Hashtable<>();
            headers.put("AccessKey", words[1]);
            ((Stub) port)._setProperty(org.apache.axis.transport.http.HTTPConstants.REQUEST_HEADERS, headers);
        } else {
            ((org.apache.axis.client.Stub) port).setHeader(
                new SOAPHeaderElement("urn:mantra:prov:jenis", "AccessKey", words[1]));
        }
        IntHolder status = new IntHolder(), code = new IntHolder(), count = new IntHolder();
        StringHolder message = new StringHolder();
        BooleanHolder truncated = new BooleanHolder();

        NilaiResponseDataHolder values = new NilaiResponseDataHolder();
        port.nilai(status, code, message, values, count, truncated);
        NilaiRow first = values.value[0], third = values.value[2];
        System.out.println("envelope=" + status.value + " " + code.value + " " + message.value + " " + count.value);
        System.out.println("bulat=" + first.getBulat());
        System.out.println("desimal=" + first.getDesimal().toPlainString());
        System.out.println("ya=" + first.getYa());
        System.out.println("kode=" + first.getKode());
        System.out.println("kosong=" + third.getTeks());

        SatuResponseDataHolder one = new SatuResponseDataHolder();
        port.satu(BigInteger.ONE, status, code, message, one, count, truncated);
        System.out.println("satu=" + one.value[0].getNomor());
        try {
            port.satu(BigInteger.ONE.negate(), status, code, message, one, count, truncated);
        } catch (Fault fault) {
            System.out.println("fault=" + fault.getCode() + " " + fault.getTitle() + " " + fault.getParty());
            System.out.println("request_id=" + fault.getRequest_id());
        }
    }
}
