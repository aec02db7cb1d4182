// Writes static/mantra/vendor/alpine.js, and the licences of what is in it.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const vendor = join(here, "../../static/mantra/vendor");

/** The packages whose files are in the bundle, as {name: version}, in the order of their names. */
function packagesIn(metafile) {
    const names = new Set();
    for (const input of Object.keys(metafile.inputs)) {
        const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (match) {
            names.add(match[1]);
        }
    }
    return Object.fromEntries([...names].sort().map((name) => [name, manifest(name).version]));
}

function manifest(name) {
    return JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8"));
}

function licence(name) {
    const folder = join(here, "node_modules", name);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    // The packages of Alpine do not have the licence of its repository with them.
    const place = file ? join(folder, file) : join(here, "licence.txt");
    const text = readFileSync(place, "utf8");
    return `${name} ${manifest(name).version} (${manifest(name).license})\n\n${text.trim()}\n`;
}

const options = {
    absWorkingDir: here,
    entryPoints: ["src/index.js"],
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2020"],
    legalComments: "none",
    metafile: true,
    write: false,
};
/** The build of Alpine replaces this name by its version. */
const ALPINE_VERSION = JSON.stringify(manifest("alpinejs").version);
const packages = packagesIn((await build({ ...options, define: { PACKAGES: "{}", ALPINE_VERSION } })).metafile);
const banner = `/*! ${Object.entries(packages).map(([name, version]) => `${name} ${version}`).join(", ")}; see alpine.licences.txt */`;
const result = await build({
    ...options,
    define: { PACKAGES: JSON.stringify(packages), ALPINE_VERSION },
    banner: { js: banner },
});
writeFileSync(join(vendor, "alpine.js"), result.outputFiles[0].text);
writeFileSync(join(vendor, "alpine.licences.txt"), Object.keys(packages).map(licence).join(`\n${"-".repeat(80)}\n\n`));
