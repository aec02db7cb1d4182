// CodeMirror 6 for the SQL of a data operation. The page's own script (static/mantra/editor.js) decides what it is for.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { MSSQL, MySQL, PLSQL, PostgreSQL, SQLite, schemaCompletionSource, keywordCompletionSource } from "@codemirror/lang-sql";
import { HighlightStyle, LanguageSupport, bracketMatching, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

/** The packages in this file, by name, with their versions. */
export const versions = PACKAGES;

// By the names that the bus has for dialects.
const DIALECTS = { postgres: PostgreSQL, mysql: MySQL, tsql: MSSQL, oracle: PLSQL, sqlite: SQLite };

const colours = HighlightStyle.define([
    { tag: tags.keyword, color: "var(--sql-keyword)", fontWeight: "600" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--sql-string)" },
    { tag: [tags.number, tags.bool, tags.null], color: "var(--sql-number)" },
    { tag: tags.comment, color: "var(--sql-comment)", fontStyle: "italic" },
    { tag: tags.typeName, color: "var(--sql-type)" },
]);

const theme = EditorView.theme({
    "&": { color: "var(--sql-text)", backgroundColor: "var(--sql-background)", fontSize: "13px" },
    "&.cm-focused": { outline: "2px solid var(--sql-focus)", outlineOffset: "-1px" },
    ".cm-scroller": {
        fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
        lineHeight: "1.5",
        minHeight: "16rem",
        maxHeight: "32rem",
    },
    ".cm-content": { caretColor: "var(--sql-text)" },
    ".cm-cursor": { borderLeftColor: "var(--sql-text)" },
    ".cm-gutters": { color: "var(--sql-muted)", backgroundColor: "var(--sql-gutter)", border: "none" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--sql-line)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
        backgroundColor: "var(--sql-selection) !important",
    },
    ".cm-selectionMatch": { backgroundColor: "var(--sql-line)" },
    ".cm-tooltip, .cm-panels": {
        color: "var(--sql-text)",
        backgroundColor: "var(--sql-gutter)",
        border: "1px solid var(--sql-border)",
    },
    ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
        color: "var(--sql-background)",
        backgroundColor: "var(--sql-focus)",
    },
    ".cm-completionDetail": { color: "inherit", opacity: "0.8" },
    ".cm-diagnostic": { whiteSpace: "pre-wrap", maxWidth: "36rem" },
    ".cm-placeholder": { color: "var(--sql-muted)" },
});

/** Completes the marks behind a colon that is none of a cast or a word, outside of texts and comments. */
function markSource(marks) {
    return (context) => {
        const word = context.matchBefore(/:\w*/);
        if (!word || /[:\w]/.test(context.state.sliceDoc(word.from - 1, word.from))) {
            return null;
        }
        if (/String|Comment/.test(syntaxTree(context.state).resolveInner(context.pos, -1).name)) {
            return null;
        }
        const options = marks().map((name) => ({ label: `:${name}`, type: "variable" }));
        return options.length ? { from: word.from, options, validFor: /^:\w*$/ } : null;
    };
}

/** Completes the columns of the tables that the text names, which need no table before them. */
function columnSource(schema) {
    return (context) => {
        const word = context.matchBefore(/[A-Za-z_]\w*/);
        if (!word || /[:.\w]/.test(context.state.sliceDoc(word.from - 1, word.from))) {
            return null;
        }
        if (/String|Comment/.test(syntaxTree(context.state).resolveInner(context.pos, -1).name)) {
            return null;
        }
        const words = new Set(context.state.doc.toString().toLowerCase().match(/\w+/g));
        const named = Object.keys(schema).filter((table) => words.has(table.toLowerCase()));
        const options = named.flatMap((table) => schema[table].children.map((column) => ({ ...column, boost: 20 })));
        return options.length ? { from: word.from, options, validFor: /^\w*$/ } : null;
    };
}

function sqlSupport(dialectName, schema, defaultSchema, marks) {
    const dialect = DIALECTS[dialectName] || SQLite;
    const complete = (source) => dialect.language.data.of({ autocomplete: source });
    return new LanguageSupport(dialect.language, [
        complete(schemaCompletionSource({ dialect, schema, defaultSchema })),
        complete(columnSource(schema)),
        complete(keywordCompletionSource(dialect, true)),
        complete(markSource(marks)),
    ]);
}

/**
 * Puts an editor into ``parent`` and returns what the page may do with it.
 *
 * options: text; label (the accessible name); hint (shown while it is empty); marks() → the names of marks; changed(text);
 * run(), for Ctrl+Enter.
 */
export function create(parent, options) {
    // In a tree of its own the style sheets are constructed ones, which a content security policy allows.
    const root = parent.attachShadow({ mode: "open" });
    const language = new Compartment();
    const run = () => {
        options.run();
        return true;
    };
    const state = EditorState.create({
        doc: options.text,
        extensions: [
            // Before the other keys: Ctrl+Enter would insert a line there.
            keymap.of([{ key: "Mod-Enter", run }]),
            lineNumbers(),
            lintGutter(),
            history(),
            drawSelection(),
            bracketMatching(),
            closeBrackets(),
            autocompletion({ activateOnTyping: true, icons: false, maxRenderedOptions: 60 }),
            highlightActiveLine(),
            highlightSelectionMatches(),
            syntaxHighlighting(colours),
            placeholder(options.hint || ""),
            // Tab leaves the editor, as it leaves every field.
            keymap.of([...closeBracketsKeymap, ...completionKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap]),
            EditorView.contentAttributes.of({ "aria-label": options.label, spellcheck: "false", autocapitalize: "off" }),
            EditorView.lineWrapping,
            theme,
            language.of(sqlSupport("sqlite", {}, "", options.marks)),
            EditorView.updateListener.of((update) => update.docChanged && options.changed(update.state.doc.toString())),
        ],
    });
    const view = new EditorView({ state, parent: root, root });

    function position(line, column) {
        const found = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
        return Math.min(found.from + Math.max(column, 1) - 1, found.to);
    }

    return {
        /** Sets the dialect, and completes the names of {table: [column]}, as @codemirror/lang-sql describes it. */
        setSchema(dialectName, schema, defaultSchema) {
            view.dispatch({ effects: language.reconfigure(sqlSupport(dialectName, schema, defaultSchema, options.marks)) });
        },
        /** Writes text at the cursor, which stands behind it then. */
        insert(text) {
            view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true });
            view.focus();
        },
        /** Shows messages at their places: [{line, column, text, severity}]; the first one is scrolled to. */
        mark(messages) {
            const diagnostics = messages.map(({ line, column, text, severity }) => {
                const from = position(line, column);
                const word = view.state.wordAt(from);
                const to = Math.max(word ? word.to : from + 1, from);
                return { from, to: Math.min(to, view.state.doc.length), severity, message: text };
            });
            view.dispatch(setDiagnostics(view.state, diagnostics));
            if (diagnostics.length) {
                view.dispatch({ effects: EditorView.scrollIntoView(diagnostics[0].from) });
            }
        },
        focus: () => view.focus(),
        text: () => view.state.doc.toString(),
        view,
    };
}
