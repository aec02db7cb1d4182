<?php
// A program of an agency that calls by SOAP, with the key that it has had for years. Reads calls as JSON, writes what it got.
$answers = [];
foreach (json_decode(file_get_contents('php://stdin'), true) as $call) {
    $context = stream_context_create(['http' => ['header' => 'AccessKey: ' . $call['key']]]);
    try {
        $client = new SoapClient($call['wsdl'], ['stream_context' => $context, 'cache_wsdl' => WSDL_CACHE_NONE]);
        $answers[] = $client->__soapCall($call['operation'], [$call['values']]);
    } catch (SoapFault $fault) {
        $answers[] = ['fault' => $fault->getMessage()];
    }
}
echo json_encode($answers);
