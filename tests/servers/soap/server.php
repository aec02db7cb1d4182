<?php
// The router of php -S: a SOAP service of the usual kind, its WSDL at ?wsdl, its schema beside it.
ini_set('soap.wsdl_cache_enabled', '0');

class Warga
{
    public function Cari($asked)
    {
        if ($asked->nik === 'galat') {
            throw new SoapFault('Client', 'rahasia di dalam pesan: kata sandi 123');
        }
        if ($asked->nik === 'kosong') {
            return [];
        }
        return [
            'orang' => [
                ['nik' => $asked->nik, 'nama' => 'Siti & <Aminah> 😀', 'umur' => 41, 'gaji' => '2500000.50',
                 'lahir' => '1985-02-28', 'aktif' => true],
                ['nik' => '007', 'nama' => null, 'umur' => 0, 'gaji' => '0.10', 'lahir' => '2000-02-29',
                 'aktif' => false],
            ],
            'gema' => json_encode($asked),
        ];
    }

    public function Dalam($asked)
    {
        return ['hasil' => ['nama' => 'Untuk ' . $asked->permintaan->nik], 'waktu' => 'kini'];
    }
}

// The same in SOAP 1.1's encoding, as nuSOAP's services describe themselves.
class WargaEncoded
{
    public function cari($nik, $batas)
    {
        $found = [];
        for ($number = 1; $number <= $batas; $number++) {
            $found[] = ['nik' => $nik, 'nama' => "Warga $number", 'umur' => 40 + $number];
        }
        return $found;
    }
}

class Rpc
{
    public function cari($nik)
    {
        return ['nama' => 'Untuk ' . $nik, 'gaji' => '2500000.50'];
    }

    public function cariDalam($p)
    {
        return $this->cari('dalam ' . $p->nik);
    }
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$services = ['/encoded' => ['/encoded.wsdl', 'WargaEncoded'], '/rpc' => ['/rpc.wsdl', 'Rpc']];
[$wsdl, $class] = $services[$path] ?? ['/warga.wsdl', 'Warga'];
if ($_SERVER['REQUEST_METHOD'] === 'GET') {
    header('Content-Type: text/xml; charset=utf-8');
    readfile(__DIR__ . (str_ends_with($path, '.xsd') ? '/tipe.xsd' : $wsdl));
    return true;
}
error_log('asked ' . ($_SERVER['HTTP_SOAPACTION'] ?? '-') . ' ' . ($_SERVER['HTTP_AUTHORIZATION'] ?? '-')
    . ' key=' . ($_SERVER['HTTP_ACCESSKEY'] ?? '-'));
$server = new SoapServer(__DIR__ . $wsdl);
$server->setClass($class);
$server->handle();
return true;
