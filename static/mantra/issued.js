// Going back or reloading must not issue another key: the address becomes that of the key's own page.
"use strict";
const issued = document.getElementById("issued");
history.replaceState(null, "", issued.dataset.shownAt);
const copy = document.getElementById("copy");
copy.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(issued);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // navigator.clipboard is there over HTTPS only; a bus inside an agency may well speak plain HTTP.
    if (document.execCommand("copy")) copy.textContent = copy.dataset.done;
});
