// Alpine.js in its build for strict content security policies, with the plugins that the theme uses.
import Alpine from "@alpinejs/csp/src/index.js";
import { generateRuntimeFunction } from "@alpinejs/csp/src/parser.js";
import anchor from "@alpinejs/anchor";
import persist from "@alpinejs/persist";
import resize from "@alpinejs/resize";
import sort from "@alpinejs/sort";

/** Throws an error if Alpine cannot read an expression: it reads many only when something is clicked. */
Alpine.read = (expression) => { generateRuntimeFunction(expression); };
/** The versions of what is in this file. */
Alpine.packages = PACKAGES;

for (const plugin of [anchor, persist, resize, sort]) {
    Alpine.plugin(plugin);
}
window.Alpine = Alpine;
queueMicrotask(() => Alpine.start());
