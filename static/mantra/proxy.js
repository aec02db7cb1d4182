// Shows of the forms of proxy operations and backends what the style and each credential have a use for.
"use strict";

(function () {
    const LEGACY = "legacy";
    // What is shown only for some styles. Rows that hold something stay in sight whatever the style.
    const FOR_STYLES = [
        [".mantra-pass-through", ["pass-through"]],
        [".field-line:has(#id_method)", ["rest"]],
        ["#mappings-group", ["rest", "soap"]],
        ["#parameters-group", ["rest", "soap", LEGACY]],
        ["#fields-group", ["rest", "soap", LEGACY]],
    ];
    const FOR_CREDENTIALS = [
        ["credential_name", ["header", "basic", "oauth2"]],
        ["credential", ["access-key", "header", "basic", "bearer", "oauth2"]],
        ["token_url", ["oauth2"]],
        ["scope", ["oauth2"]],
    ];

    function held(element) {
        return element.querySelector(".form-group.original, tbody.original, tr.has_original, .has_original") !== null;
    }

    function byStyle() {
        const style = document.getElementById("id_style");
        if (!style) {
            return;
        }
        const word = style.value.startsWith(LEGACY) ? LEGACY : style.value;
        for (const [selector, styles] of FOR_STYLES) {
            for (const element of document.querySelectorAll(selector)) {
                element.classList.toggle("mantra-off", !styles.includes(word) && !held(element));
            }
        }
    }

    function byCredential() {
        for (const kind of document.querySelectorAll("select[name$=credential_kind]")) {
            const prefix = kind.name.slice(0, -"credential_kind".length);
            for (const [name, kinds] of FOR_CREDENTIALS) {
                const field = document.getElementById("id_" + prefix + name);
                const box = field && field.closest(".field-line");
                if (box) {
                    box.classList.toggle("mantra-off", !kinds.includes(kind.value));
                    const row = box.parentElement;
                    row.classList.toggle("mantra-off", row.querySelector(".field-line:not(.mantra-off)") === null);
                }
            }
        }
    }

    function byOwnSettings() {
        for (const box of document.querySelectorAll("input[name$=-own_settings]")) {
            const form = box.closest("fieldset").parentElement;
            for (const element of form.querySelectorAll(".mantra-own-settings")) {
                element.classList.toggle("mantra-off", !box.checked);
            }
        }
    }

    function all() {
        byStyle();
        byCredential();
        byOwnSettings();
    }

    document.addEventListener("DOMContentLoaded", all);
    document.addEventListener("change", all);
    document.addEventListener("formset:added", all);
})();
