package centre

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics answers /metrics: figures that an operator of the centre can act on, without personal data.
func (c *Centre) Metrics() http.Handler {
	r := prometheus.NewRegistry()
	counter := func(name, help string, f func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "campuskeep_centre", Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	counter("messages_total", "Messages of appliances dealt with since the start.", func() uint64 { all, _ := c.Ingest.Counts(); return all })
	counter("messages_failed_total", "Messages that could not be dealt with; the appliance sends them again.", func() uint64 { _, failed := c.Ingest.Counts(); return failed })
	r.MustRegister(&schools{c: c, by: prometheus.NewDesc("campuskeep_centre_schools", "Schools by how they stand.", []string{"status"}, nil),
		leaves: prometheus.NewDesc("campuskeep_centre_entries", "Entries of all logs that are stored and witnessed.", nil, nil),
		alarms: prometheus.NewDesc("campuskeep_centre_open_alarms", "Alarms that nobody has dealt with.", nil, nil)},
		&expiries{c: c, until: prometheus.NewDesc("campuskeep_centre_certificate_expires_timestamp_seconds", "When a certificate that the centre depends on ends.", []string{"certificate"}, nil)})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// schools asks the database once for each collection.
type schools struct {
	c                  *Centre
	by, leaves, alarms *prometheus.Desc
}

func (s *schools) Describe(out chan<- *prometheus.Desc) {
	out <- s.by
	out <- s.leaves
	out <- s.alarms
}

func (s *schools) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := s.c.Store.ListSchools(ctx, s.c.clock.Now().Wall)
	if err != nil {
		out <- prometheus.NewInvalidMetric(s.by, err)
		return
	}
	by := map[string]int{}
	var leaves uint64
	alarms := 0
	for _, x := range all {
		by[string(x.Status)]++
		leaves += x.Witnessed
		alarms += x.OpenAlarms
	}
	for status, n := range by {
		out <- prometheus.MustNewConstMetric(s.by, prometheus.GaugeValue, float64(n), status)
	}
	out <- prometheus.MustNewConstMetric(s.leaves, prometheus.GaugeValue, float64(leaves))
	out <- prometheus.MustNewConstMetric(s.alarms, prometheus.GaugeValue, float64(alarms))
}

// expiries says when the certificates end.
type expiries struct {
	c     *Centre
	until *prometheus.Desc
}

func (e *expiries) Describe(out chan<- *prometheus.Desc) { out <- e.until }

func (e *expiries) Collect(out chan<- prometheus.Metric) {
	for _, x := range e.c.certificates() {
		out <- prometheus.MustNewConstMetric(e.until, prometheus.GaugeValue, float64(x.Until.Unix()), x.Name)
	}
}
