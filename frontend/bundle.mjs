// Bundles a folder of frontend/ into static/mantra/vendor, with the licences of what is in it.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const vendor = fileURLToPath(new URL("../static/mantra/vendor", import.meta.url));

/** The manifest of a package that is installed in a folder. */
export function manifest(folder, name) {
    return JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"));
}

/** The packages whose files are in the bundle, as {name: version}, in the order of their names. */
function packagesIn(folder, metafile) {
    const names = new Set();
    for (const input of Object.keys(metafile.inputs)) {
        const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (match) {
            names.add(match[1]);
        }
    }
    return Object.fromEntries([...names].sort().map((name) => [name, manifest(folder, name).version]));
}

/** The licence of a package: its own, or licence.txt beside the sources for packages that do not have it with them. */
function licence(folder, name) {
    const own = join(folder, "node_modules", name);
    const file = readdirSync(own).find((each) => /^licen[cs]e/i.test(each));
    const place = file ? join(own, file) : join(folder, "licence.txt");
    const text = existsSync(place) ? readFileSync(place, "utf8") : "";
    return `${name} ${manifest(folder, name).version} (${manifest(folder, name).license})\n\n${text.trim()}\n`;
}

/**
 * Writes name.js and name.licences.txt. `build` is esbuild's, which each folder has its own of; PACKAGES is defined as the
 * packages and their versions, beside the names of `define`; `more` are further options of esbuild.
 */
export async function bundle({ build, folder, name, define = {}, more = {} }) {
    const options = {
        absWorkingDir: folder,
        entryPoints: ["src/index.js"],
        bundle: true,
        minify: true,
        format: "iife",
        target: ["es2020"],
        legalComments: "none",
        metafile: true,
        write: false,
        ...more,
    };
    const first = await build({ ...options, define: { ...define, PACKAGES: "{}" } });
    const packages = packagesIn(folder, first.metafile);
    const versions = Object.entries(packages).map(([each, version]) => `${each} ${version}`).join(", ");
    const result = await build({
        ...options,
        define: { ...define, PACKAGES: JSON.stringify(packages) },
        banner: { js: `/*! ${versions}; see ${name}.licences.txt */` },
    });
    const licences = Object.keys(packages).map((each) => licence(folder, each));
    writeFileSync(join(vendor, `${name}.js`), result.outputFiles[0].text);
    writeFileSync(join(vendor, `${name}.licences.txt`), licences.join(`\n${"-".repeat(80)}\n\n`));
}
