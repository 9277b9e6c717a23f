// The control room's wall. Each tile opens its own viewing, and with it an entry in the log, when it comes into
// sight; it ends it when it goes out of sight, so that only what somebody can see is fetched.
import Hls from 'hls.js/light';

const wall = document.querySelector('[data-wall]');
if (wall) start(wall);

function start(wall) {
  const why = document.querySelector('[data-purpose]');
  const stated = document.querySelector('[data-stated]');
  const words = (code) => wall.getAttribute('data-msg-' + code) || wall.getAttribute('data-msg-network') || '';
  let ready = wall.hasAttribute('data-ready');
  let hidden = false;

  const ask = () => { // the purpose counts no more: nothing new opens before it is stated again
    ready = false;
    if (why) { why.hidden = false; why.querySelector('input').focus(); }
    if (stated) stated.hidden = true;
  };

  const open = async (camera, purpose) => {
    const form = new URLSearchParams({ camera });
    if (purpose) form.set('purpose', purpose);
    const r = await fetch('/api/v1/live', { method: 'POST', body: form, credentials: 'same-origin' });
    const b = await r.json().catch(() => ({}));
    if (!r.ok) throw Object.assign(new Error(b.text || ''), { status: r.status, code: b.error, text: b.text, after: Number(r.headers.get('Retry-After')) || 0 });
    const until = document.querySelector('[data-purpose-until]');
    const text = document.querySelector('[data-purpose-text]');
    if (until) until.textContent = b.purpose_until;
    if (text) text.textContent = b.purpose;
    return b;
  };

  const tiles = [...wall.querySelectorAll('[data-tile]')].map((el) => tile(el));

  function tile(el) {
    const video = el.querySelector('video');
    const note = el.querySelector('[data-msg]');
    const mark = el.querySelector('[data-mark]');
    const camera = el.getAttribute('data-camera');
    let hls = null, view = null, wanted = false, busy = false, again = 0, misses = 0, out = false, healed = [];
    const say = (t, href) => {
      note.textContent = t;
      note.hidden = !t;
      if (!href) return;
      const a = document.createElement('a');
      a.href = href;
      a.textContent = t;
      note.textContent = '';
      note.appendChild(a);
    };

    const close = () => {
      clearTimeout(again);
      if (hls) { hls.destroy(); hls = null; }
      if (view) { navigator.sendBeacon(view.close, ''); view = null; }
      el.classList.remove('is-on');
    };
    // later tries again, not all tiles in the same moment; after is what the server asked for, in seconds.
    const later = (after) => {
      clearTimeout(again);
      misses = Math.min(misses + 1, 5);
      again = setTimeout(() => { if (wanted) begin(); }, Math.max(2000 * misses, 1000 * (after || 0)) * (1 + Math.random() / 2));
    };
    const refused = (status, text, after) => {
      out = status === 401;
      say(text || words(status || 'network'), out ? '/login?next=' + encodeURIComponent(location.pathname + location.search) : '');
      if (status !== 401 && status !== 403 && !(status >= 400 && status < 500 && status !== 429 && status !== 404 && status !== 410)) later(after);
    };
    const begin = async (purpose) => {
      wanted = true;
      if (busy || view || !ready && !purpose || hidden) return;
      if (!Hls.isSupported()) { say(words('unsupported')); return; }
      busy = true;
      say(words('starting'));
      try {
        view = await open(camera, purpose);
      } catch (e) {
        if (e.code === 'may.no_purpose') { say(words('purpose')); ask(); }
        else refused(e.status, e.text, e.after);
        return;
      } finally { busy = false; }
      if (!wanted || hidden) { close(); return; }
      if (mark) mark.textContent = view.mark;
      play();
    };
    const play = () => {
      hls = new Hls({
        enableWorker: false, // a worker from a blob would need a wider content policy
        liveSyncDurationCount: 2, maxBufferLength: 6, maxMaxBufferLength: 10, backBufferLength: 0,
        manifestLoadPolicy: { default: { maxTimeToFirstByteMs: 20000, maxLoadTimeMs: 20000, timeoutRetry: null, errorRetry: null } },
      });
      hls.on(Hls.Events.ERROR, (_, d) => {
        if (!d.fatal) return;
        const code = d.response && d.response.code;
        if (d.type === Hls.ErrorTypes.MEDIA_ERROR) { // three a minute; then what the camera sends cannot be shown here
          const now = performance.now();
          healed = healed.filter((t) => now - t < 60000);
          if (healed.length < 3) { healed.push(now); hls.recoverMediaError(); return; }
          say(words('unsupported'));
          close();
          return;
        }
        close();
        refused(code === 410 ? 410 : code, code === 410 || !code ? words('nosignal') : '');
      });
      hls.loadSource(view.playlist);
      hls.attachMedia(video);
      video.addEventListener('canplay', () => { const p = video.play(); if (p) p.catch(() => {}); }, { once: true });
    };
    video.addEventListener('playing', () => { misses = 0; out = false; say(''); el.classList.add('is-on'); });
    video.addEventListener('contextmenu', (ev) => ev.preventDefault());
    const full = () => {
      if (document.fullscreenElement === el) document.exitFullscreen();
      else if (el.requestFullscreen) el.requestFullscreen().catch(() => {});
    };
    el.querySelector('[data-full]').addEventListener('click', full);
    el.addEventListener('dblclick', full);
    const t = { el, begin, full, back: () => { if (out && wanted) begin(); }, end: () => { wanted = false; close(); }, pause: (text) => { close(); say(text); }, seen: false };
    return t;
  }

  // The first tile carries the purpose; the others follow it, so that all of them are one incident.
  if (why) {
    why.addEventListener('submit', async (ev) => {
      ev.preventDefault();
      const purpose = why.querySelector('input').value.trim();
      const first = tiles.find((t) => t.seen) || tiles[0];
      if (!purpose || !first) return;
      await first.begin(purpose);
      const until = document.querySelector('[data-purpose-until]');
      if (!until || !until.textContent) return; // refused: the tile says why
      ready = true;
      why.hidden = true;
      if (stated) stated.hidden = false;
      wall.querySelectorAll('[data-alone]').forEach((b) => { b.disabled = false; });
      tiles.forEach((t) => { if (t.seen) t.begin(); });
    });
  }

  const watch = new IntersectionObserver((list) => {
    for (const x of list) {
      const t = tiles.find((y) => y.el === x.target);
      t.seen = x.isIntersecting;
      if (t.seen) setTimeout(() => { if (t.seen) t.begin(); }, 60 * tiles.indexOf(t)); else t.end();
    }
  }, { threshold: 0.1 });
  tiles.forEach((t) => watch.observe(t.el));

  // A window that nobody sees lets its pictures go after a moment, and takes them up again.
  let leaving = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(leaving);
    if (document.hidden) {
      leaving = setTimeout(() => { hidden = true; tiles.forEach((t) => t.pause(words('paused'))); }, 15000);
    } else if (hidden) {
      hidden = false;
      tiles.forEach((t) => { if (t.seen) t.begin(); });
    }
  });
  addEventListener('focus', () => tiles.forEach((t) => t.back())); // somebody may have logged in again in another tab
  addEventListener('pagehide', () => tiles.forEach((t) => t.end()));

  document.addEventListener('keydown', (ev) => {
    if (ev.ctrlKey || ev.metaKey || ev.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(ev.target.tagName)) return;
    if (/^[1-9]$/.test(ev.key)) {
      const t = tiles[Number(ev.key) - 1];
      if (t) { ev.preventDefault(); t.el.focus(); t.full(); }
      return;
    }
    const rel = { PageUp: 'prev', ArrowLeft: 'prev', PageDown: 'next', ArrowRight: 'next' }[ev.key];
    const link = rel && document.querySelector('a[rel="' + rel + '"]');
    if (link) { ev.preventDefault(); link.click(); }
  });
}
