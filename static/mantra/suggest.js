// Suggestions for a text field with data-suggest: the address that returns them for ?q=. Without it the field is text.
"use strict";

(function () {
    const WAIT_MS = 150;
    const SHORTEST = 2;

    function start(input) {
        const list = document.createElement("ul");
        list.id = `${input.id || input.name}_suggestions`;
        list.className = "mantra-suggestions";
        list.setAttribute("role", "listbox");
        list.setAttribute("aria-label", document.querySelector(`label[for="${input.id}"]`)?.textContent.trim() || input.name);
        list.hidden = true;
        input.after(list);
        input.setAttribute("role", "combobox");
        input.setAttribute("aria-autocomplete", "list");
        input.setAttribute("aria-expanded", "false");
        input.setAttribute("aria-controls", list.id);
        let active = -1;
        let timer = 0;
        let request = null;

        function close() {
            list.hidden = true;
            active = -1;
            input.setAttribute("aria-expanded", "false");
            input.removeAttribute("aria-activedescendant");
        }

        function choose(option) {
            input.value = option.dataset.value;
            close();
            input.focus();
        }

        function mark(place) {
            const options = list.children;
            active = (place + options.length) % options.length;
            for (const [number, option] of Array.from(options).entries()) {
                option.setAttribute("aria-selected", String(number === active));
            }
            options[active].scrollIntoView({ block: "nearest" });
            input.setAttribute("aria-activedescendant", options[active].id);
        }

        function option(suggestion, number) {
            const item = document.createElement("li");
            item.id = `${list.id}_${number}`;
            item.setAttribute("role", "option");
            item.setAttribute("aria-selected", "false");
            item.dataset.value = suggestion.value;
            const code = document.createElement("code");
            code.textContent = suggestion.value;
            item.append(suggestion.text, " ", code);
            // Before the field loses the focus, which closes the list.
            item.addEventListener("mousedown", (event) => { event.preventDefault(); choose(item); });
            return item;
        }

        function show(suggestions) {
            list.replaceChildren(...suggestions.map(option));
            active = -1;
            list.hidden = !suggestions.length;
            input.setAttribute("aria-expanded", String(!list.hidden));
            input.removeAttribute("aria-activedescendant");
        }

        async function ask() {
            const text = input.value.trim();
            request?.abort();
            if (text.length < SHORTEST) {
                close();
                return;
            }
            request = new AbortController();
            try {
                const response = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(text)}`, { signal: request.signal });
                if (response.ok && document.activeElement === input) {
                    show((await response.json()).suggestions);
                }
            } catch {
                close();  // The text is still a filter.
            }
        }

        const KEYS = {
            ArrowDown: () => mark(active + 1),
            ArrowUp: () => mark(active < 0 ? -1 : active - 1),
            Enter: () => choose(list.children[active]),
            Escape: close,
        };
        input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); });
        input.addEventListener("blur", close);
        input.addEventListener("keydown", (event) => {
            if (list.hidden || !(event.key in KEYS) || (event.key === "Enter" && active < 0)) {
                return;
            }
            event.preventDefault();
            event.stopPropagation();  // Escape would close the panel of filters as well.
            KEYS[event.key]();
        });
    }

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("input[data-suggest]").forEach(start);
    });
})();
