"use strict";
// The wizard works without this script. It puts the focus where the work goes on, filters lists while one types, sends a
// form once, and keeps what was entered while a response was on its way.
(() => {
    // The first error, else what a button has just added.
    const focusOn = (root) => {
        const target = root.querySelector("[autofocus], [data-focus]") ?? root.querySelector("[data-next]");
        target?.focus();
    };
    const requester = (event) => event.detail.requestConfig?.elt ?? event.target;
    const isGuarded = (element) => Boolean(element.matches?.("[data-guard]"));
    const contentOf = (form) => new URLSearchParams(new FormData(form)).toString();
    const isChange = (event) => event.detail.requestConfig?.triggeringEvent?.type === "change";
    const setBusy = (element, busy) => element?.setAttribute("aria-busy", String(busy));
    const preview = () => document.querySelector("#preview, #sample");
    const note = (shown) => {
        const text = document.getElementById("wizard_failed");
        if (text) text.hidden = !shown;
    };

    document.addEventListener("DOMContentLoaded", () => {
        setBusy(preview(), true);
        focusOn(document);
    });

    document.addEventListener("submit", (event) => {
        const form = event.target;
        if (!form.matches("[data-once]")) return;
        if (form.dataset.sent) event.preventDefault();
        form.dataset.sent = "1";
    });
    // A page from the browser's memory can be sent again.
    window.addEventListener("pageshow", () => {
        for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
    });

    document.addEventListener("input", (event) => {
        const list = document.getElementById(event.target.dataset.filters ?? "");
        if (!list) return;
        const term = event.target.value.trim().toLowerCase();
        for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(term);
    });

    document.addEventListener("change", (event) => {
        // What a button beside it takes is no change yet.
        if (event.target.matches("[data-quiet]")) event.stopPropagation();
        else setBusy(event.target.closest("[data-guard]"), true);
    }, true);

    document.addEventListener("htmx:beforeRequest", (event) => {
        const form = requester(event);
        if (!isGuarded(form)) return;
        form.sentContent = contentOf(form);
        setBusy(form, true);
        // A button changes which fields there are: nothing else is pressed until they are there.
        form.classList.toggle("mantra-busy", !isChange(event));
    });
    document.addEventListener("htmx:beforeSwap", (event) => {
        const form = requester(event);
        const asked = new URL(event.detail.requestConfig.path, window.location.href).pathname;
        if (new URL(event.detail.xhr.responseURL).pathname !== asked) {
            event.detail.shouldSwap = false;
            window.location.reload(); // the session has ended: the sign-in page comes, and then this one
            return;
        }
        // What was entered meanwhile is newer than the response: it is sent, and its own response is shown.
        if (isGuarded(form) && isChange(event) && form.sentContent !== contentOf(form)) {
            event.detail.shouldSwap = false;
            form.again = true;
        }
    });
    document.addEventListener("htmx:afterRequest", (event) => {
        const element = requester(event);
        setBusy(element, false);
        if (!isGuarded(element)) return;
        element.classList.remove("mantra-busy");
        note(!event.detail.successful);
        if (event.detail.successful) setBusy(preview(), preview()?.id === "preview");
        if (element.again) {
            element.again = false;
            htmx.trigger(element, "change");
        }
    });
    document.addEventListener("htmx:afterSettle", (event) => {
        if (event.target.id === "wizard") focusOn(event.target);
    });
})();
