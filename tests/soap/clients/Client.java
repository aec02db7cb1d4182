import contoh.FaultMessage;
import contoh.Jenis;
import contoh.JenisPortType;
import contoh.NilaiRow;
import java.io.StringReader;
import java.lang.reflect.Field;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.xml.bind.JAXBElement;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.namespace.QName;
import javax.xml.transform.Source;
import javax.xml.transform.stream.StreamSource;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.Holder;
import javax.xml.ws.Service;
import javax.xml.ws.handler.MessageContext;
import javax.xml.ws.soap.SOAPFaultException;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/** Calls everything by the classes that wsimport made of the WSDL, and prints what came as JSON. */
@SuppressWarnings("unchecked")
public class Client {
    private static final String SPACE = "urn:mantra:prov:jenis";
    private static String key;
    private static boolean byHttp;

    /** java Client WSDL KEY VERSION WAY: the key goes as a header of http or of soap. */
    public static void main(String[] words) throws Exception {
        URL wsdl = new URL(words[0]);
        key = words[1];
        byHttp = words[3].equals("http");
        Jenis service = new Jenis(wsdl);
        JenisPortType port = words[2].equals("1.2") ? service.getJenisSoap12() : service.getJenisSoap11();
        Map<String, List<String>> headers = Map.of("AccessKey", List.of(key));
        if (byHttp) {
            ((BindingProvider) port).getRequestContext().put(MessageContext.HTTP_REQUEST_HEADERS, headers);
        }
        Map<String, Object> found = new TreeMap<>();
        Holder<Integer> status = new Holder<>(), code = new Holder<>(), count = new Holder<>();
        Holder<String> message = new Holder<>();
        Holder<Boolean> truncated = new Holder<>();

        Holder<contoh.NilaiResponse.Data> values = new Holder<>();
        port.nilai(status, code, message, values, count, truncated, soapKey());
        List<Object> rows = new ArrayList<>();
        for (NilaiRow row : values.value.getRow()) {
            rows.add(fields(row));
        }
        found.put("nilai", rows);
        found.put("envelope", List.of(status.value, code.value, message.value, count.value, truncated.value));

        DatatypeFactory dates = DatatypeFactory.newInstance();
        XMLGregorianCalendar day = dates.newXMLGregorianCalendar("2026-01-31");
        XMLGregorianCalendar moment = dates.newXMLGregorianCalendar("2026-01-31T08:00:00");
        Holder<contoh.GemaResponse.Data> echo = new Holder<>();
        port.gema("  Sit\u012b & <Budi> \ud83d\ude00 ", new BigInteger("9007199254740993"),
            new BigDecimal("12345678901234567.1250"), true, day, moment, "dua & tiga", "3171011201850001",
            "013000666091000", status, code, message, echo, count, truncated, soapKey());
        found.put("gema", fields(echo.value.getRow().get(0)));
        port.gema(null, null, null, null, null, null, null, null, null,
            status, code, message, echo, count, truncated, soapKey());
        found.put("gema_nil", fields(echo.value.getRow().get(0)));

        Holder<contoh.KosongResponse.Data> none = new Holder<>();
        port.kosong(status, code, message, none, count, truncated, soapKey());
        found.put("kosong", List.of(none.value.getRow().size(), count.value));

        Holder<contoh.BebasResponse.Data> free = new Holder<>();
        port.bebas(status, code, message, free, count, truncated, soapKey());
        List<Object> trees = new ArrayList<>();
        for (Object row : free.value.getRow()) {
            trees.add(tree((Element) row));
        }
        found.put("bebas", trees);

        Holder<contoh.CatatResponse.Data> written = new Holder<>();
        Holder<BigInteger> affected = new Holder<>();
        port.catat("Sit\u012b", status, code, message, written, count, truncated, affected, soapKey());
        found.put("catat", affected.value.toString());

        Holder<Object> document = new Holder<>();
        port.telusur("7", status, code, message, document, soapKey());
        found.put("telusur", tree((Element) document.value));

        Holder<contoh.BanyakResponse.Data> many = new Holder<>();
        port.banyak(BigInteger.valueOf(3000), status, code, message, many, count, truncated, soapKey());
        found.put("banyak", many.value.getRow().size());

        Map<String, Object> faults = new TreeMap<>();
        Holder<contoh.SatuResponse.Data> one = new Holder<>();
        faults.put("value", failure(
            () -> port.satu(BigInteger.valueOf(-1), status, code, message, one, count, truncated, soapKey())));
        faults.put("missing", failure(
            () -> port.satu(null, status, code, message, one, count, truncated, soapKey())));
        JenisPortType stranger = words[2].equals("1.2") ? service.getJenisSoap12() : service.getJenisSoap11();
        faults.put("key", failure(
            () -> stranger.satu(BigInteger.ONE, status, code, message, one, count, truncated, null)));
        faults.put("unknown", failure(() -> {
            QName name = new QName(SPACE, words[2].equals("1.2") ? "jenisSoap12" : "jenisSoap11");
            var dispatch = service.createDispatch(name, Source.class, Service.Mode.PAYLOAD);
            dispatch.getRequestContext().put(MessageContext.HTTP_REQUEST_HEADERS, headers);
            dispatch.invoke(new StreamSource(new StringReader("<m:tidakada xmlns:m='" + SPACE + "'/>")));
        }));
        found.put("faults", faults);
        System.out.write(json(found).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private static String soapKey() {
        return byHttp ? null : key;
    }

    private interface Asking {
        void run() throws Exception;
    }

    private static Map<String, Object> failure(Asking asking) throws Exception {
        Map<String, Object> told = new TreeMap<>();
        try {
            asking.run();
        } catch (FaultMessage fault) {
            contoh.Fault info = fault.getFaultInfo();
            told.put("code", info.getCode());
            told.put("title", info.getTitle());
            told.put("party", info.getParty());
            told.put("request_id", info.getRequestId());
            told.put("message", fault.getMessage().equals(info.getMessage()) ? info.getMessage() : fault.getMessage());
        } catch (SOAPFaultException fault) {
            told.put("soap", fault.getFault().getFaultCodeAsQName().getLocalPart());
            told.put("message", fault.getFault().getFaultString());
            told.putAll((Map<String, Object>) tree((Element) fault.getFault().getDetail().getFirstChild()));
        }
        return told;
    }

    /** The members of a row of the generated class, each in XSD's words. */
    private static Map<String, Object> fields(Object row) throws Exception {
        Map<String, Object> found = new TreeMap<>();
        for (Field field : row.getClass().getDeclaredFields()) {
            field.setAccessible(true);
            JAXBElement<?> element = (JAXBElement<?>) field.get(row);
            found.put(field.getName(), element == null ? "absent" : element.isNil() ? null : text(element.getValue()));
        }
        return found;
    }

    private static String text(Object value) {
        if (value instanceof BigDecimal number) {
            return number.toPlainString();
        }
        return value instanceof byte[] bytes ? Base64.getEncoder().encodeToString(bytes) : value.toString();
    }

    private static Object tree(Element element) {
        Map<String, Object> children = new TreeMap<>();
        for (Node child = element.getFirstChild(); child != null; child = child.getNextSibling()) {
            if (child instanceof Element inner) {
                children.put(inner.getLocalName() + (children.containsKey(inner.getLocalName()) ? "2" : ""), tree(inner));
            }
        }
        boolean nil = element.getAttributeNS("http://www.w3.org/2001/XMLSchema-instance", "nil").equals("true");
        return nil ? null : children.isEmpty() ? element.getTextContent() : children;
    }

    private static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder();
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, each) -> out.append(out.length() == 0 ? "" : ",").append(json(name)).append(":")
                .append(json(each)));
            return "{" + out + "}";
        }
        if (value instanceof List<?> list) {
            list.forEach(each -> out.append(out.length() == 0 ? "" : ",").append(json(each)));
            return "[" + out + "]";
        }
        for (char letter : value.toString().toCharArray()) {
            boolean plain = letter >= ' ' && letter != '"' && letter != '\\';
            out.append(plain ? String.valueOf(letter) : String.format("\\u%04x", (int) letter));
        }
        return "\"" + out + "\"";
    }
}
