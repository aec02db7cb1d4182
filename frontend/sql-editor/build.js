// Writes static/mantra/vendor/sql-editor.js, and the licences of what is in it.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { bundle } from "../bundle.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
await bundle({ build, folder, name: "sql-editor", more: { globalName: "MantraSqlEditor" } });
