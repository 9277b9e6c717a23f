package main

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/backfill"
	nvrsim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/footage"
)

// The demo's NVR. Three of its channels keep what they should; one was set to 23 days by somebody.
const (
	nvrHTTP     = 8570
	nvrRTSP     = 8572
	nvrUser     = "campuskeep"
	nvrPassword = "demo-recorder"
	nvrFPS      = 8
	nvrShort    = 3 // this channel
)

var nvrCameras = []footage.Camera{
	{ID: "c04", Name: "食堂就餐区", Place: "食堂", Area: footage.AreaCanteen},
	{ID: "c05", Name: "教学楼一楼走廊", Place: "教学楼一楼", Area: footage.AreaCorridor},
	{ID: "c06", Name: "教学楼二楼走廊", Place: "教学楼二楼", Area: footage.AreaCorridor},
	{ID: "c07", Name: "操场东侧", Place: "操场", Area: footage.AreaPlayground},
}

// recorded is what lies on a channel at an instant: thirty days and a little, in pieces of an hour.
func recorded(channel int, now time.Time) []footage.Span {
	days := 30*24*time.Hour + 6*time.Hour
	if channel == nvrShort {
		days = 23 * 24 * time.Hour
	}
	return nvrsim.Hours(now.Add(-days).Truncate(time.Hour), now.Truncate(time.Second))
}

// startNVR starts the NVR, which goes on recording until stopped.
func (d *demo) startNVR(ctx context.Context) error {
	clip, err := nvrsim.Clip(ctx, "nvr", nvrFPS, nvrFPS)
	if err != nil {
		return err
	}
	now := time.Now()
	o := nvrsim.Options{Listen: "127.0.0.1", Port: nvrHTTP, RTSPPort: nvrRTSP, User: nvrUser, Password: nvrPassword, Model: "DS-7604NI-K1", Now: time.Now,
		Habits: nvrsim.Habits{Zone: "CST-8:00:00", SearchLocal: true, PlayLocal: true, LogLocal: true}, Clip: clip, FPS: nvrFPS, Speed: 8,
		Accounts: []nvrsim.Account{{Name: "admin", Level: "Administrator"}, {Name: nvrUser, Level: "Operator"}, {Name: "guard", Level: "Viewer"}}}
	for i, c := range nvrCameras {
		days := 30
		if i+1 == nvrShort {
			days = 23
		}
		o.Channels = append(o.Channels, nvrsim.Channel{ID: i + 1, Name: c.Name, Online: true, Days: days, Keep: true, Pieces: recorded(i+1, now)})
	}
	if d.nvr, err = nvrsim.Start(o); err != nil {
		return fmt.Errorf("NVR: %w", err)
	}
	// Somebody looks past the appliance.
	for _, m := range []int{0, 4, 9} {
		d.nvr.AddLog(nvrsim.LogLine{At: now.Add(-3*time.Hour + time.Duration(m)*time.Minute), Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 2})
	}
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopNVR = stop
	go func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-recording.Done():
				return
			case now := <-tick.C:
				for i := range nvrCameras {
					d.nvr.Record(i+1, recorded(i+1, now)...)
				}
			}
		}
	}()
	return nil
}

// registeredNVR is the NVR as the school has it in its register.
func (d *demo) registeredNVR() backfill.NVR {
	out := backfill.NVR{Device: nvr.Device{ID: "n01", Name: "监控室录像机", Place: "监控室", Driver: "hikvision", Address: d.nvr.Address(), RTSP: d.nvr.RTSPAddress(), Installer: "云汀安防工程"},
		Login: site.Login{User: nvrUser, Password: nvrPassword}}
	for _, c := range nvrCameras {
		c.Group, c.Custody, c.Policy, c.Installer = "教学与食堂", footage.CustodyNVR, footage.Policy{Days: 30}, "云汀安防工程"
		out.Cameras = append(out.Cameras, c)
	}
	return out
}
