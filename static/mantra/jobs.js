// Says before a file is sent that it is too large, and that it is on its way. Without this script the form works too.
"use strict";

(function () {
    const form = document.getElementById("job-form");
    const input = form.querySelector("input[type=file]");
    const problem = document.getElementById("file-problem");
    const button = form.querySelector("button[type=submit]");

    function check() {
        const file = input.files[0];
        const text = file && file.size > Number(input.dataset.most) ? form.dataset.tooLarge : "";
        input.setCustomValidity(text);
        problem.textContent = "";
        if (text) {
            const line = document.createElement("p");
            line.className = "mantra-fault";
            line.textContent = text;
            problem.append(line);
        }
    }

    // A file may be dropped beside the button too.
    const area = input.closest(".mantra-job-drop");
    area.addEventListener("dragover", (event) => event.preventDefault());
    area.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files.length) {
            input.files = event.dataTransfer.files;
            check();
        }
    });
    // The theme's script would look for the text field of its own widget beside this one.
    input.hasChangeListener = true;
    input.addEventListener("change", check);
    form.addEventListener("submit", () => {
        document.getElementById("job-sending").textContent = form.dataset.sending;
        button.disabled = true;
    });
    // Back on this page by the browser's button.
    window.addEventListener("pageshow", () => {
        document.getElementById("job-sending").textContent = "";
        button.disabled = false;
        check();
    });
})();
