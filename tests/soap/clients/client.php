<?php
// php client.php WSDL|- ENDPOINT KEY VERSION WAY CACHE [gzip|deflate]: calls everything, and prints what came as JSON.
// WAY is how the key goes: http, basic, soap or wsse. Without a WSDL (-) nothing has a type.
[, $wsdl, $endpoint, $key, $version, $way, $cache] = $argv;
const COMPRESSIONS = ['gzip' => SOAP_COMPRESSION_GZIP | 5, 'deflate' => SOAP_COMPRESSION_DEFLATE | 5];
$compression = $argv[7] ?? '';
const SPACE = 'urn:mantra:prov:jenis';
const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';

class Baris
{
    public function words(): array
    {
        return array_map('words', get_object_vars($this));
    }
}

function words(mixed $value): mixed
{
    if ($value instanceof Baris) {
        return $value->words();
    }
    if (is_object($value) || is_array($value)) {
        return array_map('words', (array) $value);
    }
    if (is_float($value)) {
        return is_infinite($value) ? ($value < 0 ? '-INF' : 'INF') : $value;
    }
    return is_string($value) && !preg_match('//u', $value) ? ['base64' => base64_encode($value)] : $value;
}

function client(string $key): SoapClient
{
    global $wsdl, $endpoint, $version, $way, $cache, $compression;
    $headers = $way === 'http' && $key !== '' ? "AccessKey: $key\r\n" : '';
    $options = [
        'soap_version' => $version === '1.2' ? SOAP_1_2 : SOAP_1_1,
        'cache_wsdl' => $cache === 'disk' ? WSDL_CACHE_DISK : WSDL_CACHE_NONE,
        'features' => SOAP_SINGLE_ELEMENT_ARRAYS,
        'classmap' => ['nilaiRow' => Baris::class],
        'stream_context' => stream_context_create(['http' => ['header' => $headers]]),
        'trace' => true,
    ];
    if ($compression !== '') {
        $options['compression'] = COMPRESSIONS[$compression];
    }
    if ($way === 'basic' && $key !== '') {
        $options += ['login' => 'siapa', 'password' => $key];
    }
    if ($wsdl === '-') {
        $options += ['location' => $endpoint, 'uri' => SPACE];
    }
    $client = new SoapClient($wsdl === '-' ? null : $wsdl, $options);
    if ($way === 'soap' && $key !== '') {
        $client->__setSoapHeaders(new SoapHeader(SPACE, 'AccessKey', $key));
    }
    if ($way === 'wsse' && $key !== '') {
        $token = '<w:Security xmlns:w="' . WSSE . '"><w:UsernameToken><w:Username>siapa</w:Username><w:Password>'
            . htmlspecialchars($key) . '</w:Password></w:UsernameToken></w:Security>';
        $client->__setSoapHeaders(new SoapHeader(WSSE, 'Security', new SoapVar($token, XSD_ANYXML), true));
    }
    return $client;
}

function failure(callable $call): array
{
    try {
        $call();
    } catch (SoapFault $fault) {
        $detail = $fault->detail->Fault ?? null;
        return ['soap' => preg_replace('/.*:/', '', $fault->faultcode), 'message' => $fault->faultstring]
            + array_map('words', (array) $detail);
    }
    return [];
}

$client = client($key);
$found = [];
if ($wsdl === '-') {
    // It writes each argument as an element of no namespace, and the types of SOAP's own encoding.
    $given = new SoapParam('1', 'id');
    $found['satu'] = words($client->__soapCall('satu', [$given]));
    $found['faults'] = ['unknown' => failure(fn () => $client->__soapCall('tidakada', []))];
} else {
    $found['functions'] = count($client->__getFunctions());
    $answer = $client->nilai();
    $found['nilai'] = ['class' => get_class($answer->data->row[0]), 'rows' => words($answer->data->row)];
    $found['envelope'] = [$answer->status, $answer->code, $answer->message, $answer->count, $answer->truncated];
    $found['gema'] = words($client->gema(json_decode(stream_get_contents(STDIN), true))->data->row[0]);
    $found['gema_nil'] = words($client->gema(['teks' => null])->data->row[0]);
    $nothing = $client->kosong();
    $found['kosong'] = [words($nothing->data), $nothing->count];
    $found['bebas'] = words($client->bebas()->data->row);
    $found['catat'] = $client->catat(['isi' => 'Sitī 😀'])->affected;
    $found['telusur'] = words($client->telusur(['nip' => '7'])->data);
    $found['banyak'] = count($client->banyak(['jumlah' => 3000])->data->row);
    $found['faults'] = [
        'value' => failure(fn () => $client->satu(['id' => -1])),
        'key' => failure(fn () => client('')->satu(['id' => 1])),
    ];
}
echo json_encode($found, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
