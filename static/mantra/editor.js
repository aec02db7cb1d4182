// The SQL editor of a data operation's page. Without it the SQL's text area and the try-out of the saved operation remain.
"use strict";

(function () {
    const MARK = /'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\/\*[\s\S]*?\*\/|::|:((?:grant\.)?[A-Za-z_][A-Za-z0-9_]*)/gi;
    const SHOWN_COLUMNS = 300;
    // The names that need no quotation marks, where the case of their letters counts.
    const PLAIN_NAMES = { postgres: /^[a-z_][a-z0-9_]*$/, oracle: /^[A-Z][A-Z0-9_]*$/ };

    /** The names of the SQL's marks, each once; those that paging fills only if the operation has no pages. */
    function marksOf(sql, pages) {
        const names = new Set();
        for (const match of sql.matchAll(MARK)) {
            if (match[1] && !(pages && ["limit", "offset"].includes(match[1]))) {
                names.add(match[1]);
            }
        }
        return [...names];
    }

    function start() {
        const template = document.getElementById("sql_editor");
        const area = document.getElementById("id_sql");
        if (!template || !area || !globalThis.MantraSqlEditor) {
            return;
        }
        const words = {};
        for (const each of template.content.querySelectorAll("[data-words]")) {
            words[each.dataset.words] = each.textContent;
        }
        const box = template.content.querySelector(".mantra-editor").cloneNode(true);
        const part = (name) => box.querySelector(`[data-part="${name}"]`);
        const form = area.form;
        const source = document.getElementById("id_source");
        area.after(box);
        area.classList.add("mantra-off");
        if (matchMedia("(max-width: 640px)").matches) {
            box.querySelector(".mantra-schema").open = false;
        }

        // ------------------------------------------------------------------------------ the editor

        const values = new Map();
        const editor = MantraSqlEditor.create(part("editor"), {
            text: area.value,
            label: words.label,
            hint: "SELECT … FROM …",
            marks: () => [...new Set([...declared(), ...marksOf(editor.text(), false)])],
            changed(text) {
                area.value = text;
                // The page's other scripts look at the field itself.
                area.dispatchEvent(new Event("input", { bubbles: true }));
                area.dispatchEvent(new Event("change", { bubbles: true }));
                showValues();
            },
            run,
        });
        const label = document.querySelector('label[for="id_sql"]');
        if (label) {
            label.addEventListener("click", (event) => {
                event.preventDefault();
                editor.focus();
            });
        }

        function declared() {
            const fields = form.querySelectorAll('input[name^="parameters-"][name$="-name"]');
            return [...fields].map((field) => field.value.trim()).filter((name) => /^[A-Za-z_]\w*$/.test(name));
        }

        function pages() {
            const field = document.getElementById("id_page_size");
            return Boolean(field && Number(field.value));
        }

        /** One field for each mark. They have no names, so that no value is saved with the form. */
        function showValues() {
            const names = marksOf(editor.text(), pages());
            const set = part("values");
            const shown = [...set.querySelectorAll("input")].map((field) => field.dataset.mark);
            set.hidden = !names.length;
            if (names.join() === shown.join()) {
                return;
            }
            set.querySelectorAll("label").forEach((each) => each.remove());
            for (const name of names) {
                const field = document.createElement("input");
                field.type = "text";
                field.autocomplete = "off";
                field.dataset.mark = name;
                field.value = values.get(name) || "";
                field.addEventListener("input", (event) => {
                    values.set(name, field.value);
                    event.stopPropagation();
                });
                field.addEventListener("keydown", (event) => {
                    if (event.key === "Enter") {
                        event.preventDefault();
                        run();
                    }
                });
                const line = document.createElement("label");
                line.className = "mantra-editor-label";
                line.append(`:${name} `, field);
                set.append(line);
            }
        }

        // ------------------------------------------------------------------------------ a run

        let current = 0;

        function request() {
            const data = new URLSearchParams();
            for (const [name, value] of new FormData(form)) {
                if (typeof value === "string" && /^(parameters-|(csrfmiddlewaretoken|page_size|writes)$)/.test(name)) {
                    data.append(name, value);
                }
            }
            data.set("source", source ? source.value : "");
            data.set("sql", editor.text());
            for (const name of marksOf(editor.text(), pages())) {
                data.set(`value_${name}`, values.get(name) || "");
            }
            return data;
        }

        async function run() {
            if (!source || !source.value) {
                say(words.source);
                return;
            }
            const number = ++current;
            part("running").textContent = words.running;
            part("run").disabled = true;
            const answer = await fetched(template.dataset.run, { method: "POST", body: request() });
            if (number !== current) {
                return;
            }
            part("running").textContent = "";
            part("run").disabled = false;
            if (answer.error) {
                say(answer.error);
                return;
            }
            // The server has escaped every value in it.
            part("result").innerHTML = answer.html;
            const placed = answer.findings.filter((finding) => finding.line);
            editor.mark(placed.map((finding) => ({ ...finding, severity: "error" })));
            for (const field of part("values").querySelectorAll("input")) {
                const wrong = answer.findings.some((finding) => finding.name === field.dataset.mark);
                field.toggleAttribute("aria-invalid", wrong);
            }
        }

        function say(text) {
            const line = document.createElement("p");
            line.className = "mantra-fault";
            line.textContent = text;
            part("result").replaceChildren(line);
        }

        async function fetched(url, options) {
            try {
                const response = await fetch(url, { credentials: "same-origin", ...options });
                if (response.status === 403 || response.status === 404) {
                    return { error: words.forbidden };
                }
                return response.ok ? await response.json() : { error: words.failed };
            } catch {
                return { error: words.failed };
            }
        }

        // ------------------------------------------------------------------------------ the tables

        let tables = [];
        let complete = true;
        let dialect = "";
        let quotes = ['"', '"'];
        let asked = 0;

        async function loadSchema(name) {
            const number = ++asked;
            tables = [];
            part("tables").replaceChildren();
            if (!source || !source.value) {
                return;
            }
            part("state").textContent = words.reading;
            const query = new URLSearchParams({ source: source.value, schema: name || "" });
            const answer = await fetched(`${template.dataset.schema}?${query}`);
            if (number !== asked) {
                return;
            }
            if (answer.error || answer.findings) {
                part("state").textContent = answer.error || answer.findings.map((finding) => finding.text).join(" ");
                return;
            }
            ({ tables, complete, dialect, quotes } = answer);
            fillSchemas(answer);
            editor.setSchema(answer.dialect, completions(answer), answer.schema);
            showTables();
        }

        function fillSchemas(answer) {
            const options = answer.schemas.map((name) => new Option(name, name, false, name === answer.schema));
            part("schemas").replaceChildren(...options);
            part("schemas").parentElement.hidden = answer.schemas.length < 2;
        }

        /** The names as the completion takes them: tables with their columns. */
        function completions(answer) {
            const found = {};
            for (const table of answer.tables) {
                found[table.name] = {
                    self: { label: table.name, apply: written(table.name), type: "type", detail: table.comment },
                    children: table.columns.map((column) => ({
                        label: column.name,
                        apply: written(column.name),
                        type: "property",
                        detail: column.type,
                        info: column.comment || undefined,
                    })),
                };
            }
            return found;
        }

        function showTables() {
            const sought = part("search").value.trim().toLowerCase();
            const list = part("tables");
            const fits = (...texts) => texts.some((text) => text.toLowerCase().includes(sought));
            const shown = tables.filter(
                (table) =>
                    fits(table.name, table.comment) ||
                    table.columns.some((column) => fits(column.name, column.comment)),
            );
            list.replaceChildren(...shown.map((table) => tableItem(table, sought && shown.length < 4)));
            part("state").textContent = !tables.length ? words.none : !shown.length ? words.nothing : complete ? "" : words.more;
        }

        function tableItem(table, open) {
            const item = document.createElement("details");
            const head = document.createElement("summary");
            const facts = [];
            if (table.kind === "view") {
                facts.push(words.view);
            }
            if (table.rows !== null) {
                facts.push(words.rows.replace("{count}", table.rows.toLocaleString(document.documentElement.lang || "id")));
            }
            head.append(strong(table.name), small(facts.join(" · ")), small(table.comment));
            item.append(head);
            // The columns of many tables at once would make the page slow.
            const fill = () => item.children.length === 1 && item.append(...columnItems(table));
            item.addEventListener("toggle", fill);
            if (open) {
                item.open = true;
            }
            return item;
        }

        function columnItems(table) {
            const names = [{ name: table.name, type: "", comment: "" }, ...table.columns.slice(0, SHOWN_COLUMNS)];
            return names.map((column) => {
                const button = document.createElement("button");
                button.type = "button";
                button.className = "mantra-column";
                button.title = words.insert.replace("{name}", column.name);
                const facts = [column.type, column.key ? words.key : "", column.comment].filter(Boolean).join(" · ");
                button.append(strong(column.name), small(facts));
                button.addEventListener("click", () => editor.insert(written(column.name)));
                return button;
            });
        }

        /** A name as SQL takes it: in the engine's quotation marks, if it would be another one without them. */
        function written(name) {
            const [open, close] = quotes;
            const plain = PLAIN_NAMES[dialect] || /^[a-z_]\w*$/i;
            return plain.test(name) ? name : open + name.replaceAll(close, close + close) + close;
        }

        function strong(text) {
            const element = document.createElement("code");
            element.textContent = text;
            return element;
        }

        function small(text) {
            const element = document.createElement("span");
            element.className = "mantra-small";
            element.textContent = text ? ` ${text}` : "";
            return element;
        }

        // ------------------------------------------------------------------------------ what the page does

        part("run").addEventListener("click", run);
        part("search").addEventListener("input", (event) => {
            event.stopPropagation();
            showTables();
        });
        part("search").addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
        part("schemas").addEventListener("change", (event) => {
            event.stopPropagation();
            loadSchema(part("schemas").value);
        });
        if (source) {
            // Also of select boxes that jQuery changes, which native listeners do not hear.
            const jQuery = globalThis.django && django.jQuery;
            if (jQuery) {
                jQuery(source).on("change", () => loadSchema(""));
            } else {
                source.addEventListener("change", () => loadSchema(""));
            }
        }
        part("schemas").parentElement.hidden = true;
        showValues();
        loadSchema("");
    }

    document.addEventListener("DOMContentLoaded", start);
})();
