// Draws the charts of the statistics from the data beside them. Their tables are there without this script too: with
// it they are closed until they are wanted, or printed.
"use strict";

(function () {
    const GRID = { light: "#e5e7eb", dark: "#374151" };
    const TEXT = { light: "#374151", dark: "#d1d5db" };
    const charts = [];
    const language = document.documentElement.lang || "id";
    const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

    function scheme() {
        return document.documentElement.classList.contains("dark") ? "dark" : "light";
    }

    function colour(tone) {
        return getComputedStyle(document.documentElement).getPropertyValue(`--statistics-${tone}`).trim();
    }

    function text(value, unit) {
        if (unit !== "ms") {
            return number.format(value);
        }
        return value >= 1000 ? `${number.format(value / 1000)} s` : `${number.format(value)} ms`;
    }

    // What is stacked is filled down to what is below it.
    function datasetOf(series, index, data) {
        const filled = data.stacked ? { fill: index ? "-1" : "origin" } : {};
        return { label: series.label, data: series.values, borderWidth: 2, pointRadius: 2, pointHitRadius: 12, ...filled };
    }

    // Colours differ between the light and the dark dress, and are set again when the reader changes it.
    function paint(chart, data, dress) {
        chart.data.datasets.forEach((dataset, index) => {
            const tones = data.kind === "doughnut" ? data.tones.map(colour) : colour(data.series[index].tone);
            dataset.backgroundColor = data.stacked ? `${tones}99` : tones;
            dataset.borderColor = data.kind === "doughnut" ? "transparent" : tones;
        });
        chart.options.plugins.legend.labels.color = TEXT[dress];
        Object.values(chart.options.scales || {}).forEach((scale) => {
            scale.ticks.color = TEXT[dress];
            scale.grid.color = GRID[dress];
        });
        chart.update();
    }

    function scalesOf(data, narrow) {
        if (data.kind === "doughnut") {
            return {};
        }
        const ticks = { maxRotation: 0, autoSkip: true, maxTicksLimit: narrow ? 4 : 10 };
        return {
            x: { stacked: data.stacked, ticks, grid: { display: false } },
            y: {
                stacked: data.stacked, beginAtZero: true, border: { display: false }, grid: {},
                ticks: { maxTicksLimit: 6, callback: (value) => text(value, data.unit) },
            },
        };
    }

    function optionsOf(data) {
        const narrow = window.matchMedia("(max-width: 640px)").matches;
        return {
            animation: false, responsive: true, maintainAspectRatio: false,
            interaction: data.kind === "doughnut" ? { mode: "nearest" } : { mode: "index", intersect: false },
            onClick: (_event, found) => found.length && open(data.links[found[0].index]),
            onHover: (event, found) => {
                event.native.target.style.cursor = found.length && data.links[found[0].index] ? "pointer" : "";
            },
            scales: scalesOf(data, narrow),
            plugins: {
                legend: { position: "bottom", align: data.kind === "doughnut" ? "start" : "center", labels: { boxWidth: 12 } },
                tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${text(item.raw, data.unit)}` } },
            },
        };
    }

    function open(address) {
        if (address) {
            window.location.assign(address);
        }
    }

    function draw(holder) {
        const data = JSON.parse(document.getElementById(holder.dataset.chart).textContent);
        holder.hidden = false;
        const chart = new window.Chart(holder.querySelector("canvas"), {
            type: data.kind,
            data: { labels: data.labels, datasets: data.series.map((series, index) => datasetOf(series, index, data)) },
            options: optionsOf(data),
        });
        charts.push([chart, data]);
        paint(chart, data, scheme());
    }

    function repaint(dress) {
        charts.forEach(([chart, data]) => paint(chart, data, dress));
    }

    function openTables(shown) {
        document.querySelectorAll(".statistics-numbers").forEach((table) => {
            table.open = shown;
        });
    }

    function begin() {
        if (!window.Chart) {
            return;
        }
        window.Chart.defaults.font.family = "Inter, sans-serif";
        document.querySelectorAll("[data-chart]").forEach(draw);
        openTables(false);
        new MutationObserver(() => repaint(scheme())).observe(document.documentElement, { attributeFilter: ["class"] });
        window.addEventListener("beforeprint", () => {
            openTables(true);
            repaint("light");
            charts.forEach(([chart]) => chart.resize());
        });
        window.addEventListener("afterprint", () => {
            openTables(false);
            repaint(scheme());
        });
    }

    begin();
})();
