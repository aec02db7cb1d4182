// Calls without leaving the page, so that a typed key need not be typed again. Without this script the form works too.
"use strict";

(function () {
    const form = document.getElementById("try-form");
    const result = document.getElementById("try-result");

    function show(busy) {
        result.setAttribute("aria-busy", busy);
        for (const button of form.querySelectorAll("button")) {
            button.disabled = busy;
        }
    }

    async function call(button) {
        const data = new FormData(form, button);
        show(true);
        result.textContent = form.dataset.running;
        try {
            const response = await fetch(window.location.href, { method: "POST", body: data, headers: { "X-Part": "result" } });
            if (!response.ok || response.redirected) {
                throw new Error(response.status);
            }
            result.innerHTML = await response.text();
        } catch {
            result.textContent = form.dataset.failed;
        } finally {
            show(false);
        }
        result.focus();
        result.scrollIntoView({ block: "start" });
    }

    form.addEventListener("submit", (event) => {
        if (event.submitter && event.submitter.value === "call") {
            event.preventDefault();
            call(event.submitter);
        }
    });
})();
