<?php
// A key from the configuration, then the statement: one message to PostgreSQL by a connection that stays open.
require 'known.php';
$rows = $database->prepare("SELECT $names FROM pegawai WHERE nip = ?");
$rows->execute([$_GET['nip'] ?? '']);
header('Content-Type: application/json');
echo json_encode(['data' => $rows->fetchAll(PDO::FETCH_ASSOC)], $plain);
