// Tabs. Without this script a bar is a list of links to the parts of the page, which are all shown.
// <nav data-tabs="NAME"><a href="#ID" data-tab-word="WORD">…</a></nav>, and parts [data-tab-of=NAME][data-tab=WORD].
// The bar named "page" keeps its tab in the address, so that it stays open when the form is saved.
"use strict";

(function () {
    const parts = (bar, word) =>
        document.querySelectorAll(`[data-tab-of="${bar.dataset.tabs}"]${word ? `[data-tab="${word}"]` : ""}`);
    const tabs = (bar) => Array.from(bar.querySelectorAll("[data-tab-word]"));

    function select(bar, tab, focus) {
        for (const each of tabs(bar)) {
            each.setAttribute("aria-selected", String(each === tab));
            each.tabIndex = each === tab ? 0 : -1;
        }
        for (const part of parts(bar)) {
            part.hidden = part.dataset.tab !== tab.dataset.tabWord;
        }
        if (focus) {
            tab.focus();
        }
        if (bar.dataset.tabs === "page") {
            history.replaceState(history.state, "", tab.hash);
        }
    }

    function onKey(event, bar) {
        const all = tabs(bar);
        const at = all.indexOf(event.target);
        const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
        if (at >= 0 && next !== undefined) {
            event.preventDefault();
            select(bar, all[(next + all.length) % all.length], true);
        }
    }

    function first(bar) {
        const all = tabs(bar);
        const named = bar.dataset.tabs === "page" && location.hash && partOf(location.hash);
        return all.find((tab) => tab.dataset.errors) || all.find((tab) => named && tab.dataset.tabWord === named) || all[0];
    }

    // The tab in which the target of a link is.
    function partOf(hash) {
        const target = document.getElementById(decodeURIComponent(hash.slice(1)));
        const part = target && target.closest("[data-tab-of=page]");
        return part && part.dataset.tab;
    }

    function start(bar) {
        bar.mantraStarted = true;
        bar.setAttribute("role", "tablist");
        for (const tab of tabs(bar)) {
            const word = tab.dataset.tabWord;
            tab.setAttribute("role", "tab");
            tab.id = `tab-${bar.dataset.tabs}-${word}`;
            const own = Array.from(parts(bar, word));
            tab.setAttribute("aria-controls", own.map((part) => part.id).filter(Boolean).join(" "));
            for (const part of own) {
                part.setAttribute("role", "tabpanel");
                part.setAttribute("aria-labelledby", tab.id);
            }
        }
        bar.addEventListener("click", (event) => {
            const tab = event.target.closest("[data-tab-word]");
            if (tab) {
                event.preventDefault();
                select(bar, tab);
            }
        });
        bar.addEventListener("keydown", (event) => onKey(event, bar));
        select(bar, first(bar));
    }

    function startAll() {
        for (const bar of document.querySelectorAll("[data-tabs]")) {
            if (!bar.mantraStarted) {
                start(bar);
            }
        }
    }

    function follow() {
        const word = partOf(location.hash);
        const bar = document.querySelector("[data-tabs=page]");
        const tab = bar && tabs(bar).find((each) => each.dataset.tabWord === word);
        if (tab && tab.getAttribute("aria-selected") !== "true") {
            const target = document.getElementById(location.hash.slice(1));
            select(bar, tab);
            target.scrollIntoView();
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        startAll();
        // A link's fragment is kept over the redirect that answers a saved form.
        document.addEventListener("submit", (event) => {
            if (document.querySelector("[data-tabs=page]") && event.target.querySelector("[data-tab-of=page]")) {
                event.target.action = location.pathname + location.search + location.hash;
            }
        });
        document.addEventListener("htmx:load", startAll);
    });
    window.addEventListener("hashchange", follow);
})();
