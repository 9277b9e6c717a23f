// Campuskeep: small enhancements only; every page works without this file.
import htmx from 'htmx.org/dist/htmx.esm.js';

htmx.config.includeIndicatorStyles = false; // a style element would break the content policy
htmx.config.allowEval = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyCacheSize = 0; // pages with personal data stay out of the browser's storage

const root = document.documentElement;
const all = (sel, in_ = document) => Array.prototype.slice.call(in_.querySelectorAll(sel));

// Theme: system, light or dark; remembered on this computer.
function theme() {
  let saved = null;
  try { saved = localStorage.getItem('theme'); } catch (e) { /* storage refused */ }
  if (saved) root.setAttribute('data-theme', saved);
  all('[data-set-theme]').forEach((b) => {
    b.addEventListener('click', () => {
      const v = b.getAttribute('data-set-theme');
      if (v) root.setAttribute('data-theme', v); else root.removeAttribute('data-theme');
      try { if (v) localStorage.setItem('theme', v); else localStorage.removeItem('theme'); } catch (e) { /* storage refused */ }
    });
  });
}

// A grid of links with one tab stop: arrow keys move in it, and what is reached is told below in words.
function roving(rows, keys) {
  let stop = null;
  const go = (from, next) => {
    if (!next) return;
    from.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  };
  rows.forEach((cells, y) => {
    cells.forEach((a, x) => {
      if (!stop || a.hasAttribute('aria-current')) stop = a;
      a.setAttribute('tabindex', '-1');
      a.addEventListener('focus', () => { all('[tabindex="0"]', a.closest('table, svg')).forEach((o) => { if (o !== a && (o.classList.contains('day') || o.classList.contains('hour'))) o.setAttribute('tabindex', '-1'); }); a.setAttribute('tabindex', '0'); });
      a.addEventListener('keydown', (ev) => {
        if (ev.ctrlKey && ev.key === 'Home') { ev.preventDefault(); go(a, rows[0][0]); return; }
        if (ev.ctrlKey && ev.key === 'End') { ev.preventDefault(); const r = rows[rows.length - 1]; go(a, r[r.length - 1]); return; }
        if (ev.altKey || ev.ctrlKey || ev.metaKey) return;
        const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [-7, 0], PageDown: [7, 0], Home: [-99, 0], End: [99, 0] }[ev.key];
        if (!d) { if (keys && keys(ev, a)) ev.preventDefault(); return; }
        ev.preventDefault();
        if (keys && keys(ev, a, y + d[1] < 0 ? -1 : y + d[1] >= rows.length ? 1 : 0)) return;
        const row = rows[Math.max(0, Math.min(rows.length - 1, y + d[1]))];
        go(a, row[Math.max(0, Math.min(row.length - 1, x + d[0]))]);
      });
    });
  });
  if (stop) stop.setAttribute('tabindex', '0');
}

// The ribbon: beyond the last row lies the next page; Escape closes the chosen day.
function ribbon(scope) {
  all('[data-ribbon]', scope).forEach((wrap) => {
    const panel = wrap.closest('section');
    const rows = all('[data-ribbon-row]', wrap).map((r) => all('.day', r));
    roving(rows, (ev, a, beyond) => {
      if (ev.key === 'Escape') { const x = document.querySelector('[data-key="close"]'); if (x) location.assign(x.href); return !!x; }
      const page = beyond && panel.querySelector(beyond > 0 ? '[rel="next"]' : '[rel="prev"]');
      if (page) location.assign(page.href);
      return !!page;
    });
    const say = panel.querySelector('[data-say]');
    if (!say) return;
    const tell = (ev) => { const a = ev.target.closest && ev.target.closest('.day'); say.textContent = a ? a.getAttribute('aria-label') : say.getAttribute('data-hint'); };
    ['mouseover', 'focusin'].forEach((n) => wrap.addEventListener(n, tell));
  });
}

// The 24 h strip: a click chooses the minute under the pointer; without script each hour is a link.
function strip(scope) {
  all('[data-strip]', scope).forEach((svg) => {
    roving([all('.hour', svg)], (ev) => {
      if (ev.key !== 'Escape') return false;
      const day = document.querySelector('.day[aria-current]');
      if (day) day.focus();
      return !!day;
    });
    svg.addEventListener('click', (ev) => {
      const a = ev.target.closest('a');
      if (!a) return;
      const box = svg.getBoundingClientRect();
      const part = Math.max(0, Math.min(0.9993, (ev.clientX - box.left) / box.width));
      const minute = Math.floor(part * Number(svg.getAttribute('data-minutes') || 1440));
      const u = new URL(a.href.baseVal || a.getAttribute('href'), location.href);
      u.searchParams.set('t', String(Math.floor(minute / 60)).padStart(2, '0') + ':' + String(minute % 60).padStart(2, '0'));
      ev.preventDefault();
      location.assign(u.href);
    });
  });
}

function forms(scope) {
  // A chosen box looks chosen.
  all('.opt input', scope).forEach((i) => i.addEventListener('change', () => {
    all('.opt input', i.closest('.opts')).forEach((o) => o.closest('.opt').classList.toggle('is-on', o.checked));
  }));
  // Characters written of those allowed.
  all('[data-count]', scope).forEach((t) => {
    const out = document.getElementById(t.getAttribute('data-count'));
    const show = () => { if (out) out.textContent = Array.from(t.value).length + ' / ' + t.maxLength; };
    t.addEventListener('input', show);
    show();
  });
}

// What a page asks by itself keeps no log-in alive; what a person does at a page that only fetches by itself (footage
// that plays, a board) is told at most once a minute.
document.addEventListener('htmx:configRequest', (ev) => {
  const by = ev.detail.triggeringEvent;
  if (!by || !by.isTrusted) ev.detail.headers['Ck-By-Itself'] = '1';
});
function presence() {
  if (!document.querySelector('[data-live],[data-player],[data-tile]')) return;
  let told = Date.now();
  const tell = () => {
    if (Date.now() - told < 60000) return;
    told = Date.now();
    fetch('/account/alive', { method: 'POST', credentials: 'same-origin' }).catch(() => { /* the next one tells it */ });
  };
  ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'].forEach((n) => addEventListener(n, tell, { passive: true }));
}

// Live parts: the server says "something changed", the part is fetched again (one at a time).
function live() {
  all('[data-live]').forEach((el) => {
    if (!window.EventSource) return;
    const id = el.id;
    const es = new EventSource(el.getAttribute('data-live'));
    let busy = false, again = false;
    const load = () => {
      if (busy) { again = true; return; }
      busy = true;
      htmx.ajax('GET', el.getAttribute('data-live-src') || location.href, { target: '#' + id, select: '#' + id, swap: 'outerHTML', headers: { 'Ck-By-Itself': '1' } })
        .finally(() => { busy = false; if (again) { again = false; load(); } });
    };
    es.addEventListener('change', load);
    es.addEventListener('error', () => document.body.classList.add('is-stale'));
    es.addEventListener('open', () => document.body.classList.remove('is-stale'));
    addEventListener('pagehide', () => es.close());
  });
}

all('[data-print]').forEach((b) => b.addEventListener('click', () => window.print()));
if (document.querySelector('[data-print-now]')) addEventListener('load', () => setTimeout(() => window.print(), 200));
all('[data-fullscreen]').forEach((b) => b.addEventListener('click', () => {
  const el = document.getElementById(b.getAttribute('data-fullscreen')) || root;
  if (document.fullscreenElement) document.exitFullscreen(); else if (el.requestFullscreen) el.requestFullscreen();
}));
// On a phone the ribbon scrolls in its frame: begin at the chosen day, else at now.
all('.rib-wrap').forEach((w) => {
  if (w.classList.contains('rib-wrap--week')) return;
  const cur = w.querySelector('.day[aria-current] rect');
  const x = cur ? cur.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2 : w.scrollWidth;
  w.scrollLeft = Math.max(0, x);
});
all('.strip').forEach((w) => {
  const mark = w.querySelector('.s-now');
  if (mark) w.scrollLeft = Math.max(0, mark.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2);
});
// A group that was just opened or closed keeps the focus; so does the day that was just chosen.
if (location.hash.startsWith('#group-')) { const g = document.getElementById(location.hash.slice(1)); if (g) g.focus({ preventScroll: true }); }
theme();
ribbon(document);
strip(document);
forms(document);
live();
presence();
document.body.addEventListener('htmx:afterSwap', (ev) => { const t = ev.detail.target; if (t && t.parentNode) { ribbon(t.parentNode); forms(t); } });
const bad = document.querySelector('.errsum');
if (bad) { bad.setAttribute('tabindex', '-1'); bad.focus(); }
