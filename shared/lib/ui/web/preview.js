// What is at an instant of the strip, before one goes there. The pictures are those of the same viewing, fetched through
// it: they count as delivered, and carry the mark of who watches.
import Hls from 'hls.js/light';
import { watermark } from './watermark.js';

const REST = 160; // ms that the pointer rests before anything is fetched

export function previews(peek, pos, { src, from, marks, now, zone, place, hms, over }) {
  if (!peek || !window.PointerEvent) return;
  const video = peek.querySelector('video'), label = peek.querySelector('[data-peek-at]');
  let hls = null, timer = 0, wanted = -1;

  const go = () => {
    if (wanted < 0 || !hls || over()) return;
    if (Math.abs(video.currentTime - wanted) > 0.2 || !video.readyState) video.currentTime = wanted;
    hls.startLoad(wanted);
  };
  const open = () => {
    hls = new Hls({ enableWorker: false, maxBufferLength: 1, maxMaxBufferLength: 2, backBufferLength: 10, startPosition: wanted, autoStartLoad: true });
    hls.on(Hls.Events.ERROR, (_, d) => { if (d.fatal) close(); }); // the player itself says why
    hls.attachMedia(video);
    hls.loadSource(src);
    watermark(peek, marks, now, zone, close);
  };
  const close = () => {
    hide();
    if (hls) hls.destroy();
    hls = null;
  };
  const hide = () => {
    clearTimeout(timer);
    peek.hidden = true;
    peek.classList.remove('is-there');
    if (hls) hls.stopLoad();
  };
  const look = (ev) => {
    if (over() || (ev.pointerType === 'touch' && !ev.buttons)) return;
    const r = pos.getBoundingClientRect();
    const part = Math.max(0, Math.min(1, (ev.clientX - r.left) / r.width));
    const ms = from + part * Number(pos.max) * 1000;
    peek.hidden = false;
    peek.style.left = Math.max(0, Math.min(r.width - peek.offsetWidth, part * r.width - peek.offsetWidth / 2)) + 'px';
    label.textContent = hms(ms);
    const at = place(ms);
    if (at !== wanted) peek.classList.remove('is-there');
    wanted = at;
    clearTimeout(timer);
    timer = setTimeout(() => { if (wanted < 0) return; if (hls) go(); else open(); }, REST);
  };
  video.addEventListener('seeked', () => { if (Math.abs(video.currentTime - wanted) < 1) peek.classList.add('is-there'); });
  video.addEventListener('loadeddata', () => { if (Math.abs(video.currentTime - wanted) < 1) peek.classList.add('is-there'); });
  ['pointermove', 'pointerenter'].forEach((n) => pos.addEventListener(n, look));
  ['pointerleave', 'pointerup', 'pointercancel'].forEach((n) => pos.addEventListener(n, hide));
  addEventListener('pagehide', close);
}
