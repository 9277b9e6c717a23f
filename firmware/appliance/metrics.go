package appliance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/recorder"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// leastToken is the fewest characters of the token that lets a collector elsewhere read the figures.
const leastToken = 16

// metricsToken reads the token from its file; "" without one.
func metricsToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("office.metrics_token: %w", err)
	}
	b = bytes.TrimSpace(b)
	if len(b) < leastToken {
		return "", fmt.Errorf("office.metrics_token: %s holds fewer than %d characters", file, leastToken)
	}
	return string(b), nil
}

// metrics answers /metrics: figures that an operator can act on, without personal data. answered counts what the
// pages answered.
func (a *Appliance) metrics() (figures http.Handler, answered func(class string, status int, took time.Duration)) {
	r := prometheus.NewRegistry()
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "campuskeep", Name: "http_request_seconds",
		Help: "How long the office page took to answer.", Buckets: []float64{.005, .02, .1, .5, 2, 10, 60}}, []string{"class", "status"})
	r.MustRegister(figuresOf{a}, took, a.ingest, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorLog: nil}), func(class string, status int, d time.Duration) {
		took.WithLabelValues(class, strconv.Itoa(status/100)+"xx").Observe(d.Seconds())
	}
}

// newIngest counts how long footage is on its way from the camera to the disk. Buckets end where the vault's queue of
// 32 MiB would: what waits longer is lost and noted as a gap.
func newIngest() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "campuskeep", Name: "ingest_seconds",
		Help: "Time from the end of a fragment, as it came from the camera, until it is sealed and on its way to the disk.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 5, 10}}, []string{"camera"})
}

// ingested counts a sealed fragment that ended at a monotonic instant.
func (a *Appliance) ingested(camera string, to time.Duration) {
	a.ingest.WithLabelValues(camera).Observe(max(0, a.Timekeeper.Now().Mono-to).Seconds())
}

// figuresOf collects the metrics when they are scraped.
type figuresOf struct{ a *Appliance }

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("campuskeep_"+name, help, labels, nil)
}

var (
	logEntries     = newDesc("log_entries", "Entries in the log.")
	logWitnessed   = newDesc("log_witnessed_entries", "Entries that the centre has cosigned.")
	uplinkUp       = newDesc("uplink_connected", "1 while the centre is connected and both agree what it has.")
	uplinkLag      = newDesc("uplink_waiting_entries", "Entries that the centre has not acknowledged.")
	uplinkExpiry   = newDesc("uplink_certificate_expires_timestamp_seconds", "When the certificate for the centre ends.")
	certExpiry     = newDesc("office_certificate_expires_timestamp_seconds", "When the certificate of the office page ends.")
	rootExpiry     = newDesc("office_root_expires_timestamp_seconds", "When the root of the office certificate ends.")
	clockTrusted   = newDesc("clock_trusted", "1 while two sources of time of different origin agree.")
	clockUnsure    = newDesc("clock_uncertainty_seconds", "How unsure the time is.")
	vaultFree      = newDesc("vault_free_bytes", "Free space of the vault's disk; -1 when it cannot be asked.")
	camRecording   = newDesc("cameras_recording", "Cameras whose pictures go into the vault.")
	camState       = newDesc("camera_state", "1 for the state that the recording of a camera is in.", "camera", "state")
	camFrameAge    = newDesc("camera_last_frame_age_seconds", "Time since the last picture of a camera.", "camera")
	camLost        = newDesc("camera_lost_packets_total", "Packets of a camera that were lost or damaged, since the start.", "camera")
	faultsOpen     = newDesc("faults_open", "Open faults of cameras and NVRs, by kind.", "code")
	readerUp       = newDesc("reader_online", "1 while the card reader answers.", "reader")
	nvrCheckAge    = newDesc("nvr_last_check_age_seconds", "Time since the last check of an NVR that came through.", "nvr")
	nvrFaulty      = newDesc("nvr_fault", "1 while the NVR has a fault.", "nvr")
	late           = newDesc("retention_late_seconds", "For how long footage is due that is not deleted yet; 0: none.")
	condemnedCount = newDesc("retention_failed_files", "Files whose deletion failed.")
	keysWaiting    = newDesc("retention_keys_waiting", "Keys whose erasure failed.")
	suspended      = newDesc("retention_suspended", "1 while nothing is deleted, e.g. because the clock is not trusted.")
	reportsQueued  = newDesc("reports_waiting", "Reports of devices that are not in the log yet.")
)

// Describe implements prometheus.Collector.
func (f figuresOf) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{logEntries, logWitnessed, uplinkUp, uplinkLag, uplinkExpiry, certExpiry, rootExpiry, clockTrusted, clockUnsure, vaultFree,
		camRecording, camState, camFrameAge, camLost, faultsOpen, readerUp, nvrCheckAge, nvrFaulty, late, condemnedCount, keysWaiting, suspended, reportsQueued} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (f figuresOf) Collect(ch chan<- prometheus.Metric) {
	report := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	now, size := f.a.Timekeeper.Now(), f.a.Store.Size()
	seen, _ := f.a.Store.Witnessed()
	report(logEntries, float64(size))
	report(logWitnessed, float64(seen))
	report(clockTrusted, boolValue(now.State == clock.Trusted))
	report(clockUnsure, now.Uncertainty.Seconds())
	report(reportsQueued, float64(len(f.a.events.queue)))
	free := -1.0
	if n, _, err := f.a.Vault.Free(); err == nil {
		free = float64(n)
	}
	report(vaultFree, free)
	f.uplink(report, size)
	if leaf, err := f.a.certs.current(); err == nil {
		report(certExpiry, float64(leaf.Leaf.NotAfter.Unix()))
	}
	report(rootExpiry, float64(f.a.certs.root.NotAfter.Unix()))
	f.cameras(ch, report, now)
	for _, s := range f.a.lines.statuses() {
		report(readerUp, boolValue(s.State == reader.Online), s.Reader)
	}
	f.nvrs(report, now)
	k := status(f).Retention()
	overdue := 0.0
	if !k.NextDue.IsZero() {
		overdue = max(0, now.Wall.Sub(k.NextDue).Seconds())
	}
	report(late, overdue)
	report(condemnedCount, float64(k.Condemned))
	report(keysWaiting, float64(k.KeysUnerased))
	report(suspended, boolValue(k.Suspended != ""))
}

func (f figuresOf) uplink(report func(*prometheus.Desc, float64, ...string), size uint64) {
	if f.a.uplink == nil {
		return
	}
	s := f.a.uplink.Status()
	report(uplinkUp, boolValue(s.Connected && s.InStep))
	report(uplinkLag, float64(size-min(s.Acknowledged, size)))
	if !s.Certificate.IsZero() {
		report(uplinkExpiry, float64(s.Certificate.Unix()))
	}
}

func (f figuresOf) cameras(ch chan<- prometheus.Metric, report func(*prometheus.Desc, float64, ...string), now clock.Reading) {
	recording := 0
	for _, c := range f.a.recorder.Status() {
		if c.State == recorder.Recording {
			recording++
		}
		report(camState, 1, c.Camera, string(c.State))
		if c.LastFrame.Boot == now.Boot && c.LastFrame.Boot != "" {
			report(camFrameAge, (now.Mono - c.LastFrame.Mono).Seconds(), c.Camera)
		}
		ch <- prometheus.MustNewConstMetric(camLost, prometheus.CounterValue, float64(c.Lost), c.Camera)
	}
	report(camRecording, float64(recording))
	open := map[footage.FaultCode]int{}
	for _, x := range f.a.Health.Faults() {
		open[x.Code]++
	}
	for _, code := range footage.FaultCodes {
		report(faultsOpen, float64(open[code]), string(code))
	}
}

func (f figuresOf) nvrs(report func(*prometheus.Desc, float64, ...string), now clock.Reading) {
	for _, d := range f.a.NVR.Devices() {
		s, ok, err := f.a.NVR.State(d.ID)
		if err != nil {
			f.a.log.Error("the state of an NVR cannot be read", "nvr", d.ID, "err", err)
			continue
		}
		if d.Retired || !ok {
			continue
		}
		report(nvrFaulty, boolValue(s.Fault != ""), d.ID)
		if !s.Checked.IsZero() {
			report(nvrCheckAge, now.Wall.Sub(s.Checked).Seconds(), d.ID)
		}
	}
}

func boolValue(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
