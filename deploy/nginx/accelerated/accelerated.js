// What of an upstream's response goes back to the caller where nginx fetches it: the same as from the bus itself.
// The bus names the headers with each call, so that its own lists are the only ones.

// Cache-Control of a response that is for its caller only, whatever its upstream would allow.
function own(control) {
    const kept = control.split(',').map(part => part.trim()).filter(part =>
        part && !['public', 'private', 's-maxage'].includes(part.split('=')[0].toLowerCase()));
    if (!kept.length || kept.some(part => part.toLowerCase() === 'no-store')) {
        return 'no-store';
    }
    return ['private'].concat(kept).join(', ');
}

function head(r) {
    const out = r.headersOut;
    const stated = out['Content-Length'];
    if (r.method === 'HEAD' || r.status === 204 || r.status === 304) {
        r.variables.mantra_length = 'end';
    } else if (stated !== undefined) {
        r.variables.mantra_length = String(stated);
        if (Number(stated) > Number(r.variables.mantra_max_bytes)) {
            r.variables.mantra_what = 'large';
            throw new Error('too large');
        }
    }
    const content = r.variables.mantra_content.split(',');
    const returned = content.concat(r.variables.mantra_returned.split(','));
    const named = (r.variables.upstream_http_connection || '').toLowerCase().split(',').map(name => name.trim());
    for (const name in out) {
        const lower = name.toLowerCase();
        if (!returned.includes(lower) || (named.includes(lower) && !content.includes(lower))) {
            delete out[name];
        }
    }
    const control = own(String(out['Cache-Control'] || ''));
    out['Cache-Control'] = control;
    if (control !== 'no-store') {
        const vary = out['Vary'] ? out['Vary'] + ', ' : '';
        out['Vary'] = vary + r.variables.mantra_vary;
    }
    const added = JSON.parse(r.variables.mantra_added);
    for (const name in added) {
        out[name] = added[name];
    }
}

// Counts a body whose length its upstream did not state, and tells whether its end came.
function body(r, data, flags) {
    if (r.variables.mantra_length !== '-') {
        r.sendBuffer(data, flags);
        r.done();
        return;
    }
    const count = Number(r.variables.mantra_count) + data.length;
    r.variables.mantra_count = String(count);
    if (count > Number(r.variables.mantra_max_bytes)) {
        r.variables.mantra_what = 'large';
        throw new Error('too large');
    }
    if (flags.last) {
        r.variables.mantra_length = 'end';
    }
    r.sendBuffer(data, flags);
}

export default {head, body};
