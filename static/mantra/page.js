// What the theme's pages lack for people who use a keyboard or a screen reader. Pages work without this script.
"use strict";

(function () {
    const words = document.currentScript.dataset;
    // An icon's word in its font → what the button that shows only this icon does.
    const ICON_NAMES = {
        dock_to_right: words.menu, close: words.close, visibility: words.show, visibility_off: words.show,
        light_mode: words.appearance, dark_mode: words.appearance, computer: words.appearance, delete: words.remove,
        more_horiz: words.more, hub: words.home, search: words.search,
    };
    const ICON = ".material-symbols-outlined";
    const CLICKABLE = "[x-on\\:click]:not(button, a[href], input, select, nav, form, td, h3, #changelist-filter-close)";

    // An icon is a word in a font of its own: a screen reader would read "account_balance Instansi".
    function hideIcon(icon) {
        if (!icon.matches("a, button, [role=button]")) {
            icon.setAttribute("aria-hidden", "true");
        }
    }

    function nameControl(control) {
        if (control.hasAttribute("aria-label") || control.getAttribute("aria-hidden")) {
            return;
        }
        const icons = control.matches(ICON) ? [control] : Array.from(control.querySelectorAll(ICON));
        const text = icons.reduce((rest, icon) => rest.replace(icon.textContent, ""), control.textContent).trim();
        const name = control.title || icons.map((icon) => ICON_NAMES[icon.textContent.trim()]).find(Boolean);
        if (icons.length && !text && name) {
            control.setAttribute("aria-label", name);
        }
    }

    function makeOperable(element) {
        element.setAttribute("role", "button");
        element.tabIndex = 0;
        element.removeAttribute("aria-hidden");
        element.addEventListener("keydown", (event) => {
            if (event.target === element && (event.key === "Enter" || event.key === " ")) {
                event.preventDefault();
                element.click();
            }
        });
    }

    // The lists with a search box say what they do in English only: their translation comes with some pages, not all.
    function translateSearchBoxes() {
        window.django?.jQuery?.fn.select2?.defaults.set("language", {
            noResults: () => words.none,
            searching: () => words.searching,
            loadingMore: () => words.searching,
            errorLoading: () => words.failed,
        });
    }

    // A box with an autocomplete has the name of its label, which names the hidden select.
    function nameAutocomplete(box) {
        const select = box.closest(".select2-container").previousElementSibling;
        const label = select && document.querySelector(`label[for="${select.id}"]`);
        const name = label ? label.textContent.replace("*", "").trim() : select && select.getAttribute("aria-label");
        if (name) {
            box.setAttribute("aria-label", name);
            box.removeAttribute("aria-labelledby");
            box.querySelector("[role=textbox]")?.setAttribute("aria-label", name);
        }
    }

    function each(selector, root, mend) {
        for (const element of root.querySelectorAll(selector)) {
            if (!element.mantraMended) {
                element.mantraMended = true;
                mend(element);
            }
        }
    }

    function mend() {
        each(CLICKABLE, document, makeOperable);
        each(`${ICON}:not([role=button])`, document, hideIcon);
        for (const control of document.querySelectorAll("a[href], button, [role=button]")) {
            nameControl(control);
        }
        each(".mantra-table, .mantra-code-block", document, (box) => { box.tabIndex = 0; });
        // The script of the theme's scroll bars calls each of them "scrollable content".
        each(".simplebar-content-wrapper", document, (box) => {
            box.removeAttribute("role");
            box.removeAttribute("aria-label");
        });
        each(".select2-selection", document, nameAutocomplete);
    }

    let waiting = false;
    function soon() {
        if (!waiting) {
            waiting = true;
            requestAnimationFrame(() => { waiting = false; mend(); });
        }
    }

    // A form with a question is sent when it is answered with yes.
    document.addEventListener("submit", (event) => {
        if (event.target.dataset.question && !confirm(event.target.dataset.question)) {
            event.preventDefault();
        }
    });

    // What was unfolded stays so over a save of the same page.
    function remember(fold) {
        const key = `fold ${fold.dataset.remember} ${location.pathname}`;
        fold.open = fold.open || sessionStorage.getItem(key) === "1";
        fold.addEventListener("toggle", () => sessionStorage.setItem(key, fold.open ? "1" : ""));
    }

    translateSearchBoxes();  // before the theme makes them, when the page is complete
    document.addEventListener("DOMContentLoaded", () => {
        mend();
        each("details[data-remember]", document, remember);
        new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
    });
})();
