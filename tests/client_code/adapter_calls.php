<?php
// Reads what to call as JSON: file (the adapter), constants, calls as [function, arguments…]. Writes what each returned.
$told = json_decode(stream_get_contents(STDIN), true);
foreach ($told['constants'] as $name => $value) {
    define($name, $value);
}
error_reporting(E_ALL);
set_error_handler(function ($level, $text, $file, $line) {
    if (error_reporting() & $level) {
        throw new ErrorException("$text in line $line", 0, $level, $file, $line);
    }
});
ob_start();
require $told['file'];
$found = array();
foreach ($told['calls'] as $call) {
    try {
        $value = call_user_func_array(array_shift($call), $call);
        $found[] = $value instanceof DOMDocument ? $value->saveXML() : $value;
    } catch (ErrorException $error) {
        throw $error;
    } catch (Exception $error) {
        $found[] = 'Exception: ' . $error->getMessage();
    }
}
echo json_encode(array('returned' => $found, 'printed' => ob_get_clean()));
