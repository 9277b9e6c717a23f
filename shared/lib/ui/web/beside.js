// Two cameras in step: the second shows the instant that the first shows. Small differences are made up by speed, large
// ones by a jump; the first waits a moment for a second that has nothing to show yet.
const OFTEN = 100;   // ms between two looks
const JUMP = 0.6;    // s: more than this is jumped over
const NEAR = 0.03;   // s: less than this is left alone
const PATIENCE = 5000; // ms that the first waits

export function inStep(first, second) {
  const a = first.video, b = second.video;
  let held = 0, resting = 0;

  const release = () => {
    if (held && a.paused) first.play();
    held = 0;
  };
  const step = () => {
    if (first.over() || second.over()) { b.pause(); if (second.over()) release(); return; }
    const now = first.wall();
    if (!now || !second.loaded()) return;
    const at = second.place(now);
    if (at < 0) { // nothing of this camera at that instant
      b.pause();
      second.show('apart');
      release();
      return;
    }
    second.clear('apart');
    const off = at - b.currentTime;
    if ((a.paused && !held) || a.seeking) {
      b.pause();
      if (Math.abs(off) > NEAR && !b.seeking) b.currentTime = at;
      return;
    }
    const short = b.seeking || b.readyState < 3;
    if (short && performance.now() > resting) {
      if (!held) { held = performance.now(); a.pause(); }
      if (performance.now() - held > PATIENCE) { resting = performance.now() + PATIENCE; release(); } // it goes on alone for a while
    } else if (held) release();
    if (Math.abs(off) > JUMP) {
      if (!b.seeking) b.currentTime = at;
    } else {
      b.playbackRate = Math.min(16, a.playbackRate * (Math.abs(off) < NEAR ? 1 : Math.max(0.5, Math.min(2, 1 + 1.5 * off))));
    }
    if (held) b.pause();
    else if (b.paused) second.play();
  };
  setInterval(step, OFTEN);
  ['seeking', 'pause', 'play'].forEach((n) => a.addEventListener(n, () => setTimeout(step, 0)));
}
