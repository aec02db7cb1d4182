// Buttons that copy a text of the page, also in parts that are loaded later. Without this script they stay hidden.
"use strict";
(function () {
    function show() {
        for (const button of document.querySelectorAll("button[data-copies]")) button.hidden = false;
    }

    function copied(text) {
        const range = document.createRange();
        range.selectNodeContents(text);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        // navigator.clipboard is there over HTTPS only; a bus in an agency may well speak plain HTTP.
        return document.execCommand("copy");
    }

    // A link to one language opens it.
    function open() {
        const part = location.hash && document.getElementById(location.hash.slice(1));
        if (part && part.matches("details")) part.open = true;
    }

    document.addEventListener("click", (event) => {
        const button = event.target.closest("button[data-copies]");
        if (button && copied(document.getElementById(button.dataset.copies))) {
            button.textContent = button.dataset.done;
        }
    });
    document.addEventListener("htmx:load", show);
    window.addEventListener("hashchange", open);
    show();
    open();
})();
