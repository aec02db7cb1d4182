<?php
// The million rows by a cursor of PostgreSQL's: PDO itself would hold all of them.
require 'known.php';
$csv = ($_GET['format'] ?? '') === 'csv';
header('Content-Type: ' . ($csv ? 'text/csv' : 'application/json'));
$database->beginTransaction();
$database->exec("DECLARE many NO SCROLL CURSOR FOR SELECT $names FROM pegawai_banyak");
$out = fopen('php://output', 'w');
$lead = '{"data":[';
if ($csv) {
    fwrite($out, str_replace(' ', '', $names) . "\r\n");
}
$how = $csv ? PDO::FETCH_NUM : PDO::FETCH_ASSOC;
while ($rows = $database->query('FETCH 2000 FROM many')->fetchAll($how)) {
    if ($csv) {
        foreach ($rows as $row) {
            fputcsv($out, $row, ',', '"', '', "\r\n");
        }
    } else {
        echo $lead, substr(json_encode($rows, $plain), 1, -1);
        $lead = ',';
    }
}
if (!$csv) {
    echo ']}';
}
$database->commit();
