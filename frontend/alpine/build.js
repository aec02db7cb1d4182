// Writes static/mantra/vendor/alpine.js, and the licences of what is in it.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { bundle, manifest } from "../bundle.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
// The build of Alpine replaces this name by its version.
const define = { ALPINE_VERSION: JSON.stringify(manifest(folder, "alpinejs").version) };
await bundle({ build, folder, name: "alpine", define });
