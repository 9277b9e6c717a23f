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

// Ribbon: one tab stop for the whole grid, arrow keys move by day and by camera.
function ribbon(scope) {
  const rows = all('[data-ribbon-row]', scope).map((r) => all('.day', r));
  let stop = null;
  rows.forEach((days, y) => {
    days.forEach((a, x) => {
      if (!stop || a.hasAttribute('aria-current')) stop = a;
      a.setAttribute('tabindex', '-1');
      a.addEventListener('keydown', (ev) => {
        const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-99, 0], End: [99, 0] }[ev.key];
        if (!d) return;
        const row = rows[Math.max(0, Math.min(rows.length - 1, y + d[1]))];
        const next = row[Math.max(0, Math.min(row.length - 1, x + d[0]))];
        ev.preventDefault();
        a.setAttribute('tabindex', '-1');
        if (next) { next.setAttribute('tabindex', '0'); next.focus(); }
      });
    });
  });
  if (stop) stop.setAttribute('tabindex', '0');
}

// The 24 h strip: a click chooses the minute under the pointer; without script each hour is a link.
function strip(scope) {
  all('[data-strip]', scope).forEach((svg) => {
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
      htmx.ajax('GET', el.getAttribute('data-live-src') || location.href, { target: '#' + id, select: '#' + id, swap: 'outerHTML' })
        .finally(() => { busy = false; if (again) { again = false; load(); } });
    };
    es.addEventListener('change', load);
    es.addEventListener('error', () => document.body.classList.add('is-stale'));
    es.addEventListener('open', () => document.body.classList.remove('is-stale'));
    addEventListener('pagehide', () => es.close());
  });
}

all('[data-print]').forEach((b) => b.addEventListener('click', () => window.print()));
all('[data-fullscreen]').forEach((b) => b.addEventListener('click', () => {
  const el = document.getElementById(b.getAttribute('data-fullscreen')) || root;
  if (document.fullscreenElement) document.exitFullscreen(); else if (el.requestFullscreen) el.requestFullscreen();
}));
// On a phone the ribbon scrolls in its frame: begin at the chosen day, else at now.
all('.rib-wrap').forEach((w) => {
  const cur = w.querySelector('.day[aria-current] rect');
  const x = cur ? cur.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2 : w.scrollWidth;
  w.scrollLeft = Math.max(0, x);
});
all('.strip').forEach((w) => {
  const mark = w.querySelector('.s-now');
  if (mark) w.scrollLeft = Math.max(0, mark.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2);
});
theme();
ribbon(document);
strip(document);
forms(document);
live();
document.body.addEventListener('htmx:afterSwap', (ev) => { const t = ev.detail.target; if (t && t.parentNode) { ribbon(t.parentNode); forms(t); } });
const bad = document.querySelector('.errsum');
if (bad) { bad.setAttribute('tabindex', '-1'); bad.focus(); }
