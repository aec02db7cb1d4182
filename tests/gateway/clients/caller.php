<?php
// Calls as programs for MANTRA 1.99x do, with PHP's curl. Reads a list of calls as JSON, writes what each read.
function adapter($url, $method, $key, $values, $style, $sent) {
    $uri = $url . '/' . $method;
    $form = null;
    switch ($style) {
    case 'REST':        $uri .= '/' . http_build_query(array_map('urlencode', $values)); break;
    case 'REST once':   $uri .= '/' . http_build_query($values); break;
    case 'RESTFULL':    $uri .= '/' . implode('/', array_map('urlencode', $values)); break;
    case 'RESTFULLPAR': foreach ($values as $name => $value) $uri .= '/' . $name . '/' . urlencode($value); break;
    case 'GET':         $uri .= '?' . http_build_query($values); break;
    case 'POST':        $form = http_build_query($values); break;
    case 'POST beforehand': $form = http_build_query(array_map('urlencode', $values)); break;
    case 'POST array':  $form = $values; break;
    case 'POST file':   $form = $values + ['foto' => new CURLFile(__FILE__)]; break;
    }
    $headers = ['AccessKey:' . $key];
    if ($sent !== '') $headers[] = 'Content-Type:' . $sent;
    $curl = curl_init($uri);
    curl_setopt_array($curl, [
        CURLOPT_USERAGENT => 'MANTRA', CURLOPT_HTTPHEADER => $headers, CURLOPT_RETURNTRANSFER => true,
        CURLOPT_FAILONERROR => true, CURLOPT_TIMEOUT => 20,
    ]);
    if ($form !== null) curl_setopt($curl, CURLOPT_POSTFIELDS, $form);
    $content = curl_exec($curl);
    if ($content === false) return ['error' => curl_error($curl)];
    if (substr($content, 0, 5) == '<?xml') {
        return ['response' => json_decode(json_encode(simplexml_load_string($content)), true)];
    }
    if (substr($content, 0, 1) == '{' && substr($content, -1) == '}') return json_decode($content, true);
    return unserialize($content, ['allowed_classes' => false]);
}

$answers = [];
foreach (json_decode(file_get_contents('php://stdin'), true) as $call) {
    $method = $call['method'];
    $table = adapter($call['url'], $method, $call['key'], $call['values'], $call['style'], $call['sent']);
    // As the samples read it.
    $answers[] = $table['response']['data'][$method] ?? $table;
}
echo json_encode($answers);
