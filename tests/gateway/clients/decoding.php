<?php
// What PHP makes of query strings: the original's own functions. Reads and writes JSON, all texts in base64.
$answers = [];
foreach (json_decode(file_get_contents('php://stdin'), true) as $case) {
    $sent = [];
    parse_str(base64_decode($case['query']), $sent);
    $pairs = [];
    foreach ($sent as $name => $value) {
        $decoded = $case['twice'] ? urldecode($value) : $value;
        if (preg_match('//u', $decoded) !== 1) $decoded = $value; // no UTF-8
        $pairs[] = [base64_encode((string)$name), base64_encode($decoded), urlencode($decoded)];
    }
    $answers[] = $pairs;
}
echo json_encode($answers);
