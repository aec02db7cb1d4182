<?php
/*
 * Adapter MANTRA: one file for programs that were written for the adapter.php of MANTRA 1.99x.
 *
 * Put it in place of that file. Its functions and classes have the same names and arguments. It needs PHP 5.3 or newer
 * with dom for XML; it uses curl if PHP has it, PHP's own streams if not.
 *
 * A program may define these constants before it includes this file:
 *
 *   MANTRA_URL              this server; an endpoint without http:// is below it: callAPI('json/agency/service', …)
 *   MANTRA_OLD_URL          the address of the old server: endpoints that begin with it go to MANTRA_URL instead
 *   MANTRA_OUTPUT           'array', 'xml' or 'json': what callAPI() returns if its call does not say it. Programs
 *                           older than 1.99x expect 'xml'.
 *   MANTRA_CONNECT_SECONDS  how long a connection may take
 *   MANTRA_SECONDS          how long a call may take
 *   MANTRA_CA_FILE          certificates of the authorities that are trusted, if not those of the system
 *   APP_ENC                 true: responses are encoded with enc64data()
 */

foreach (array(
    'MANTRA_URL' => '@MANTRA_URL@',
    'MANTRA_OLD_URL' => '',
    'MANTRA_OUTPUT' => 'array',
    'MANTRA_CONNECT_SECONDS' => 10,
    'MANTRA_SECONDS' => 60,
    'MANTRA_CA_FILE' => '',
    'APP_ENC' => false,
) as $mantra_name => $mantra_value) {
    if (!defined($mantra_name)) {
        define($mantra_name, $mantra_value);
    }
}
unset($mantra_name, $mantra_value);

// ------------------------------------------------------------------------------------------- calls

/**
 * Calls an operation.
 *
 * $parameter   name => value
 * $callmethod  'REST', 'RESTFULL', 'RESTFULLPAR', 'GET' or 'POST': how the parameters are sent
 * $output      'array', 'json' or 'xml': what is returned
 *
 * In programs older than 1.99x the fifth argument is a boolean (true: XML, false: array) and the sixth is the method.
 * The result has status (1 or 0), code, message and data under 'response', also if the server does not respond.
 */
function callAPI($endpoint, $operation, $accesskey = '', $parameter = array(), $callmethod = 'REST', $output = null)
{
    if (is_bool($callmethod)) {
        list($output, $callmethod) = array($callmethod ? 'xml' : 'array', $output === null ? 'REST' : $output);
    }
    if ((string) $endpoint === '') {
        $result = mantra_failure(20001, 'URL/EndPoint tidak terdefinisi (kosong)');
    } else {
        $method = strtoupper($callmethod);
        $values = is_array($parameter) ? $parameter : array();
        $form = $method === 'POST' ? http_build_query($values, '', '&') : null;
        $url = mantra_address(mantra_endpoint($endpoint), (string) $operation, $method, $values);
        $result = mantra_request($url, (string) $accesskey, $form);
    }
    return mantra_output($result, $output === null ? MANTRA_OUTPUT : $output);
}

/** Calls an operation. Returns an array. */
function getAPI($endpoint, $operation, $accesskey = '', $parameter = array(), $callmethod = 'REST')
{
    return callAPI($endpoint, $operation, $accesskey, $parameter, $callmethod, 'array');
}

/** Calls an operation. Returns JSON. */
function getAPIJSON($endpoint, $operation, $accesskey = '', $parameter = array(), $callmethod = 'REST')
{
    return callAPI($endpoint, $operation, $accesskey, $parameter, $callmethod, 'json');
}

/** Calls an operation. Returns XML. */
function getAPIXML($endpoint, $operation, $accesskey = '', $parameter = array(), $callmethod = 'REST')
{
    return callAPI($endpoint, $operation, $accesskey, $parameter, $callmethod, 'xml');
}

/** Returns the request id of the last call, by which the operators find it, or ''. */
function mantra_request_id($new = null)
{
    static $id = '';
    if ($new !== null) {
        $id = $new;
    }
    return $id;
}

// --------------------------------------------------------------------------------------- addresses

/** Returns an endpoint as an absolute address. */
function mantra_endpoint($endpoint)
{
    $old = rtrim(MANTRA_OLD_URL, '/');
    if ($old !== '' && stripos("$endpoint/", "$old/") === 0) {
        return rtrim(MANTRA_URL, '/') . substr($endpoint, strlen($old));
    }
    $absolute = preg_match('~^[a-z][a-z0-9+.\-]*://~i', $endpoint);
    return $absolute ? $endpoint : rtrim(MANTRA_URL, '/') . '/' . ltrim($endpoint, '/');
}

/** Returns the address of a call with those parameters that belong into an address. */
function mantra_address($endpoint, $operation, $method, $values)
{
    $parts = array(rtrim($endpoint, '/'));
    if ($operation !== '') {
        $parts[] = $operation;
    }
    if ($method === 'REST' && $values) {
        // The servers of 1.99x decode these values twice.
        $parts[] = http_build_query(array_map('mantra_encoded', $values), '', '&');
    } elseif ($method === 'RESTFULL') {
        $parts = array_merge($parts, array_map('mantra_encoded', array_values($values)));
    } elseif ($method === 'RESTFULLPAR') {
        foreach ($values as $name => $value) {
            array_push($parts, $name, mantra_encoded($value));
        }
    }
    $url = rtrim(implode('/', $parts), '/');
    if ($method === 'GET' && $values) {
        $url .= (strpos($url, '?') === false ? '?' : '&') . http_build_query($values, '', '&');
    }
    return $url;
}

function mantra_encoded($value)
{
    return urlencode((string) $value);
}

// ---------------------------------------------------------------------------------------- requests

/** Sends a request and returns what its response contains. $form is null for a GET request. */
function mantra_request($url, $accesskey, $form)
{
    mantra_request_id('');
    // No line break may come into the request's head.
    $url = str_replace(' ', '%20', $url);
    $accesskey = trim($accesskey);
    if (!preg_match('~^https?://[^\x00-\x20]+$~i', $url) || preg_match('/[\x00-\x20]/', $accesskey)) {
        return mantra_failure(3, 'URL using bad/illegal format or missing URL');
    }
    $headers = $accesskey === '' ? array() : array('AccessKey: ' . $accesskey);
    if ($form !== null) {
        $headers[] = 'Content-Type: application/x-www-form-urlencoded';
    }
    $sent = function_exists('curl_init')
        ? mantra_by_curl($url, $headers, $form)
        : mantra_by_stream($url, $headers, $form);
    return is_array($sent) ? $sent : mantra_content(APP_ENC ? dec64data($sent) : $sent);
}

/** Sends a request with curl. Returns the response's body, or a failure with curl's number. */
function mantra_by_curl($url, $headers, $form)
{
    $curl = curl_init($url);
    curl_setopt_array($curl, array(
        CURLOPT_USERAGENT => 'MANTRA',
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_FAILONERROR => true,
        CURLOPT_FOLLOWLOCATION => false,
        CURLOPT_CONNECTTIMEOUT => MANTRA_CONNECT_SECONDS,
        CURLOPT_TIMEOUT => MANTRA_SECONDS,
        CURLOPT_SSL_VERIFYPEER => true,
        CURLOPT_SSL_VERIFYHOST => 2,
        CURLOPT_HEADERFUNCTION => 'mantra_read_header',
    ));
    if (MANTRA_CA_FILE !== '') {
        curl_setopt($curl, CURLOPT_CAINFO, MANTRA_CA_FILE);
    }
    if ($form !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $form);
    }
    $body = curl_exec($curl);
    return $body === false ? mantra_failure(curl_errno($curl), curl_error($curl)) : $body;
}

/** Keeps the request id of a response. Returns how much of the line was read, as curl demands. */
function mantra_read_header($_curl, $line)
{
    if (stripos($line, 'X-Request-Id:') === 0) {
        mantra_request_id(trim(substr($line, 13)));
    }
    return strlen($line);
}

/** Sends a request with PHP's streams. Returns the response's body, or a failure with the number that curl would give. */
function mantra_by_stream($url, $headers, $form)
{
    $http = array(
        'method' => $form === null ? 'GET' : 'POST',
        'header' => implode("\r\n", $headers),
        'user_agent' => 'MANTRA',
        'timeout' => MANTRA_SECONDS,
        'follow_location' => 0,
        'ignore_errors' => true,
    );
    if ($form !== null) {
        $http['content'] = $form;
    }
    $context = stream_context_create(array('http' => $http, 'ssl' => mantra_tls($url)));
    $began = microtime(true);
    $stream = @fopen($url, 'rb', false, $context);
    if ($stream === false) {
        $late = microtime(true) - $began >= MANTRA_SECONDS;
        return $late ? mantra_failure(28, 'Timeout was reached') : mantra_failure(7, "Couldn't connect to server");
    }
    $about = stream_get_meta_data($stream);
    $status = 0;
    foreach ($about['wrapper_data'] as $line) {
        if (preg_match('~^HTTP/\S+ (\d+)~', $line, $found)) {
            $status = (int) $found[1];
        }
        mantra_read_header(null, $line);
    }
    $body = stream_get_contents($stream);
    $about = stream_get_meta_data($stream);
    if ($body === false || $about['timed_out']) {
        return mantra_failure(28, 'Timeout was reached');
    }
    return $status >= 400 ? mantra_failure(22, "The requested URL returned error: $status") : $body;
}

/** Returns the options by which a stream checks the server's certificate. Before 5.6 PHP checks none by itself. */
function mantra_tls($url)
{
    $options = array(
        'verify_peer' => true,
        'verify_peer_name' => true,
        'allow_self_signed' => false,
        'CN_match' => (string) parse_url($url, PHP_URL_HOST),
        'SNI_enabled' => true,
    );
    if (PHP_VERSION_ID >= 50600) {
        unset($options['CN_match']);
    }
    $files = array(MANTRA_CA_FILE);
    if (PHP_VERSION_ID < 50600) {
        $files = array_merge($files, array(
            '/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem',
        ));
    }
    foreach ($files as $file) {
        if ($file !== '' && is_readable($file)) {
            $options['cafile'] = $file;
            break;
        }
    }
    return $options;
}

// --------------------------------------------------------------------------------------- responses

/** Returns a result with status 0. */
function mantra_failure($code, $message)
{
    return array('response' => array('status' => 0, 'code' => $code, 'message' => $message, 'data' => ''));
}

/** Returns the result that a response's body contains: JSON, XML or what serialize() writes. */
function mantra_content($body)
{
    $start = substr($body, 0, 5);
    if ($start === '<?xml' || $start === '<ows:') {
        try {
            $read = setXML2Array($body);
        } catch (Exception $error) {
            return mantra_failure(20003, $error->getMessage());
        }
    } elseif (substr($body, 0, 1) === '{' && substr($body, -1) === '}') {
        $read = json_decode($body, true);
    } else {
        $read = mantra_unserialize($body);
    }
    if (is_array($read) && isset($read['response']['status'])) {
        return $read;
    }
    return array('response' => array('status' => 1, 'code' => 200, 'message' => 'OK', 'data' => $read));
}

/** Returns the value that serialize() has written, never an object, or the text itself if it is none. */
function mantra_unserialize($text)
{
    if (PHP_VERSION_ID >= 70000) {
        $value = @unserialize($text, array('allowed_classes' => false));
    } else {
        // These versions would make any object that the text names.
        $value = preg_match('/(^|[;{}])[OC]:\+?[0-9]+:/', $text) ? false : @unserialize($text);
    }
    return $value ? $value : $text;
}

/** Returns a result in the form that the caller wants. */
function mantra_output($result, $output)
{
    if ($output === 'json') {
        $options = JSON_FORCE_OBJECT;
        foreach (array('JSON_PRETTY_PRINT', 'JSON_PARTIAL_OUTPUT_ON_ERROR') as $name) {
            $options |= defined($name) ? constant($name) : 0;
        }
        return json_encode($result, $options);
    }
    if ($output === 'xml') {
        try {
            return setArray2XML('response', $result['response']);
        } catch (Exception $error) {
            $failure = mantra_failure(20003, $error->getMessage());
            return setArray2XML('response', $failure['response']);
        }
    }
    return $result;
}

function enc64data($data)
{
    return strrev(base64_encode($data));
}

function dec64data($data)
{
    return base64_decode(strrev($data));
}

// --------------------------------------------------------------------------------------------- XML

/** Returns an XML document as an array. */
function setXML2Array($xmldata)
{
    return extension_loaded('dom') ? XML2Array::createArray($xmldata) : array();
}

/** Returns an array as an XML document with this root element. */
function setArray2XML($nodename, $data)
{
    return extension_loaded('dom') ? Array2XML::createXML($nodename, $data)->saveXML() : '';
}

/**
 * Reads XML: an element is its text, or an array of its child elements; a repeated child is a list. Attributes are
 * '@attributes', the text beside them '@value', CDATA '@cdata'.
 */
class XML2Array
{
    public static function init($_version = '1.0', $_encoding = 'UTF-8', $_format_output = true)
    {
    }

    /** Returns the array of an XML text or of a DOMDocument. */
    public static function createArray($input_xml)
    {
        $document = is_string($input_xml) ? self::parsed($input_xml) : $input_xml;
        if (!$document instanceof DOMDocument) {
            throw new Exception('[XML2Array] The input XML object should be of type: DOMDocument.');
        }
        $root = $document->documentElement;
        return array($root->tagName => self::element($root));
    }

    private static function parsed($text)
    {
        $document = new DOMDocument();
        $errors = libxml_use_internal_errors(true);
        $loader = PHP_VERSION_ID < 80000 ? libxml_disable_entity_loader(true) : null;
        $parsed = $document->loadXML($text, LIBXML_NONET);
        if (PHP_VERSION_ID < 80000) {
            libxml_disable_entity_loader($loader);
        }
        libxml_clear_errors();
        libxml_use_internal_errors($errors);
        if (!$parsed) {
            throw new Exception('[XML2Array] Error parsing the XML string.');
        }
        if ($document->doctype) {
            throw new Exception('[XML2Array] A document type is not allowed.');
        }
        return $document;
    }

    private static function element($node)
    {
        $value = self::content($node);
        if ($node->attributes->length) {
            $value = is_array($value) ? $value : array('@value' => $value);
            foreach ($node->attributes as $name => $attribute) {
                $value['@attributes'][$name] = (string) $attribute->value;
            }
        }
        return $value;
    }

    private static function content($node)
    {
        $children = array();
        $text = '';
        foreach ($node->childNodes as $child) {
            if ($child->nodeType === XML_ELEMENT_NODE) {
                $children[$child->tagName][] = self::element($child);
            } elseif ($child->nodeType === XML_CDATA_SECTION_NODE) {
                $text = array('@cdata' => trim($child->textContent));
            } elseif ($child->nodeType === XML_TEXT_NODE && trim($child->textContent) !== '') {
                $text = trim($child->textContent);
            }
        }
        foreach ($children as $name => $values) {
            $children[$name] = count($values) === 1 ? $values[0] : $values;
        }
        return $children ? $children : $text;
    }
}

/** Writes XML from an array as XML2Array reads it. */
class Array2XML
{
    private static $version = '1.0';
    private static $encoding = 'UTF-8';
    private static $format = true;

    public static function init($version = '1.0', $encoding = 'UTF-8', $format_output = true)
    {
        self::$version = $version;
        self::$encoding = $encoding;
        self::$format = $format_output;
    }

    /** Returns the DOMDocument of an array. Throws an Exception if a key cannot be the name of an element. */
    public static function createXML($node_name, $arr = array())
    {
        $document = new DOMDocument(self::$version, self::$encoding);
        $document->formatOutput = self::$format;
        $document->appendChild(self::element($document, $node_name, $arr));
        return $document;
    }

    private static function element($document, $name, $value)
    {
        $node = $document->createElement($name);
        if (!is_array($value)) {
            $node->appendChild($document->createTextNode(self::text($value)));
            return $node;
        }
        $attributes = isset($value['@attributes']) ? $value['@attributes'] : array();
        foreach ($attributes as $key => $each) {
            $node->setAttribute(self::name($key, $name), self::text($each));
        }
        unset($value['@attributes']);
        if (isset($value['@value'])) {
            $node->appendChild($document->createTextNode(self::text($value['@value'])));
        } elseif (isset($value['@cdata'])) {
            $node->appendChild($document->createCDATASection(self::text($value['@cdata'])));
        } else {
            self::children($document, $node, $name, $value);
        }
        return $node;
    }

    private static function children($document, $node, $name, $values)
    {
        foreach ($values as $key => $value) {
            $tag = self::name($key, $name);
            $list = is_array($value) && is_numeric(key($value)) ? $value : array($value);
            foreach ($list as $each) {
                $node->appendChild(self::element($document, $tag, $each));
            }
        }
    }

    private static function name($key, $parent)
    {
        $name = str_replace(' ', '_', (string) $key);
        if (!preg_match('/^[a-z_][a-z0-9:\-._]*[^:]*$/i', $name)) {
            throw new Exception("[Array2XML] Illegal character in tag name. tag: $key in node: $parent");
        }
        return $name;
    }

    private static function text($value)
    {
        if (is_bool($value)) {
            return $value ? 'true' : 'false';
        }
        return (string) $value;
    }
}

// ------------------------------------------------------------------------------------------ tables

/** Returns how many levels of arrays there are. */
function count_dimension($Array, $count = 0)
{
    return is_array($Array) ? count_dimension(current($Array), $count + 1) : $count;
}

/** Prints the rows of an operation as tables of some rows each. The tables need no script. */
function view_table($data, $key, $rowsperpage = 5)
{
    $rows = null;
    foreach (is_array($data) ? $data : array() as $part) {
        if ($rows === null && is_array($part) && isset($part[$key])) {
            $rows = $part[$key];
        }
    }
    if (!is_array($rows) || !$rows) {
        return;
    }
    $pages = array_chunk(count_dimension($rows) < 2 ? array($rows) : $rows, $rowsperpage);
    nav_table(1, count($pages));
    foreach ($pages as $number => $page) {
        echo '<details', $number ? '' : ' open', '><summary>', $number + 1, ' / ', count($pages), '</summary>';
        echo '<div style="overflow-x:auto"><table border="1" cellpadding="4"><tr>';
        foreach (array_keys((array) $page[0]) as $column) {
            echo '<th>', mantra_html(strtoupper($column)), '</th>';
        }
        echo '</tr>';
        foreach ($page as $row) {
            echo '<tr><td>', implode('</td><td>', array_map('mantra_html', (array) $row)), '</td></tr>';
        }
        echo '</table></div></details>';
    }
    echo '<br/>';
}

/** Prints how many pages a table has. */
function nav_table($_navid, $maxpage)
{
    if ($maxpage > 1) {
        echo '<p>Data: ', (int) $maxpage, ' halaman.</p>';
    }
}

/** Prints nothing: it is here for programs that call it. */
function printScript()
{
}

function mantra_html($value)
{
    return htmlspecialchars(is_array($value) ? var_export($value, true) : (string) $value, ENT_QUOTES, 'UTF-8');
}

if (!function_exists('array_column')) {
    // PHP has it from 5.5 on.
    function array_column($input, $column_key, $index_key = null)
    {
        $result = array();
        foreach ($input as $row) {
            if ($column_key !== null && !(is_array($row) && array_key_exists($column_key, $row))) {
                continue;
            }
            $value = $column_key === null ? $row : $row[$column_key];
            if ($index_key !== null && isset($row[$index_key])) {
                $result[$row[$index_key]] = $value;
            } else {
                $result[] = $value;
            }
        }
        return $result;
    }
}
