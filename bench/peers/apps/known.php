<?php
$plain = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR;
if (!hash_equals(getenv('PEERS_DIGEST'), hash('sha256', $_SERVER['HTTP_ACCESSKEY'] ?? ''))) {
    http_response_code(401);
    exit;
}
$names = str_replace(',', ', ', getenv('PEERS_COLUMNS'));
$database = new PDO(
    sprintf('pgsql:host=127.0.0.1;port=%s;dbname=%s', getenv('PEERS_PORT'), getenv('PEERS_DATABASE')),
    getenv('PEERS_USER'),
    getenv('PEERS_PASSWORD'),
    [
        PDO::ATTR_PERSISTENT => true,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::PGSQL_ATTR_DISABLE_PREPARES => true,
    ]
);
