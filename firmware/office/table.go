package office

import "campuskeep/shared/account"

// table is every address of the office page with its permission. What is not here does not exist.
func (o *Office) table() []route {
	return []route{
		// Nobody is known yet.
		{pattern: "GET /login", action: account.ActPublic, handle: o.loginPage},
		{pattern: "POST /login", action: account.ActPublic, handle: o.login},
		{pattern: "GET /setup", action: account.ActPublic, handle: o.setupPage},
		{pattern: "POST /setup", action: account.ActPublic, handle: o.setup},
		{pattern: "POST /language", action: account.ActPublic, handle: o.setLanguage},
		{pattern: "GET /trust", action: account.ActPublic, handle: o.trustPage},
		{pattern: "GET /trust/root.crt", action: account.ActPublic, handle: o.root},
		{pattern: "GET /rules", action: account.ActPublic, handle: o.rulesPage},
		{pattern: "GET /healthz", action: account.ActPublic, handle: o.health},
		{pattern: "GET /metrics", action: account.ActPublic, handle: o.metrics},
		{pattern: "GET /api/v1/openapi.json", action: account.ActPublic, handle: o.openapi},

		// One's own.
		{pattern: "POST /logout", action: account.ActSelf, subject: self, handle: o.logout},
		{pattern: "GET /account", action: account.ActSelf, subject: self, handle: o.selfPage},
		{pattern: "POST /account/password", action: account.ActSelf, subject: self, handle: o.changePassword},
		{pattern: "POST /account/factor", action: account.ActSelf, subject: self, handle: o.beginFactor},
		{pattern: "POST /account/factor/confirm", action: account.ActSelf, subject: self, handle: o.confirmFactor},
		{pattern: "POST /account/sessions/end", action: account.ActSelf, subject: self, handle: o.endSessions},

		{pattern: "GET /{$}", action: account.ActStatusView, subject: anything, handle: o.todayPage},
		{pattern: "GET /clock", action: account.ActStatusView, subject: anything, handle: o.clockPage},
		{pattern: "POST /clock", action: account.ActClockConfirm, subject: anything, handle: o.confirmClock},
		{pattern: "GET /events/log", action: account.ActLogSearch, subject: anything, handle: o.liveLog, stream: true},

		// Footage.
		{pattern: "GET /footage", action: account.ActRibbonView, subject: anything, handle: o.footagePage},
		{pattern: "POST /footage/view", action: account.ActFootagePlayback, subject: wantedSubject, handle: o.openView},
		{pattern: "GET /live", action: account.ActFootageLive, subject: livePurpose, handle: o.livePage},
		{pattern: "POST /live/view", action: account.ActFootageLive, subject: liveSubject, handle: o.openLive},
		{pattern: "POST /shift/begin", action: account.ActShift, subject: self, handle: o.beginShift},
		{pattern: "POST /shift/end", action: account.ActShift, subject: self, handle: o.endShift},
		{pattern: "GET /shift/leave", action: account.ActShift, subject: self, handle: o.leavePage},
		{pattern: "GET /shift/handover", action: account.ActShift, subject: self, handle: o.handoverPage},
		{pattern: "POST /shift/handover", action: account.ActShift, subject: self, handle: o.offerShift},
		{pattern: "POST /shift/sign", action: account.ActShift, subject: self, handle: o.signShift},
		{pattern: "GET /duty", action: account.ActDutyView, subject: anything, handle: o.dutyPage},
		{pattern: "POST /duty/print", action: account.ActDutyView, subject: anything, handle: o.printDuty},
		{pattern: "GET /duty/sheet", action: account.ActDutyView, subject: anything, handle: o.dutyPaper},
		{pattern: "POST /duty/export", action: account.ActDutyView, subject: anything, handle: o.exportDuty},
		{pattern: "GET /view/{id}", action: account.ActMediaRead, subject: viewing, handle: o.viewPage},
		{pattern: "POST /view/{id}/close", action: account.ActSelf, subject: viewer, handle: o.closeView},
		{pattern: "GET /media/{id}/playlist.m3u8", action: account.ActMediaRead, subject: viewing, handle: o.playlist, media: true},
		{pattern: "GET /media/{id}/init/{file}", action: account.ActMediaRead, subject: viewing, handle: o.initSection, media: true},
		{pattern: "GET /media/{id}/{segment}/{file}", action: account.ActMediaRead, subject: viewing, handle: o.fragment, media: true},

		// The register of use.
		{pattern: "GET /applications", action: account.ActApplicationList, subject: anything, handle: o.applicationsPage},
		{pattern: "GET /applications/mine", action: account.ActApplicationCreate, subject: mayApply, handle: o.myApplications},
		{pattern: "GET /applications/new", action: account.ActApplicationCreate, subject: mayApply, handle: o.applyPage},
		{pattern: "POST /applications/new", action: account.ActApplicationCreate, subject: mayApply, handle: o.submit},
		{pattern: "GET /applications/availability", action: account.ActRibbonView, subject: anything, handle: o.availability},
		{pattern: "GET /applications/{id}", action: account.ActApplicationView, subject: applicationSubject, handle: o.applicationPage},
		{pattern: "GET /applications/{id}/form", action: account.ActApplicationView, subject: applicationSubject, handle: o.formDocument},
		{pattern: "GET /applications/{id}/notice", action: account.ActApplicationView, subject: applicationSubject, handle: o.noticeDocument},
		{pattern: "GET /applications/{id}/rejection", action: account.ActApplicationView, subject: applicationSubject, handle: o.rejectionDocument},
		{pattern: "POST /applications/{id}/decide", action: account.ActApplicationDecide, subject: applicationSubject, handle: o.decide},
		{pattern: "POST /applications/{id}/take", action: account.ActApplicationReview, subject: applicationSubject, handle: o.step("done.taken", o.take)},
		{pattern: "POST /applications/{id}/return", action: account.ActApplicationReview, subject: applicationSubject, handle: o.step("done.returned", o.giveBack)},
		{pattern: "POST /applications/{id}/accept", action: account.ActApplicationReview, subject: applicationSubject, handle: o.step("done.accepted", o.accept)},
		{pattern: "POST /applications/{id}/revoke", action: account.ActApplicationDecide, subject: applicationSubject, handle: o.step("done.revoked", o.revoke)},
		{pattern: "POST /applications/{id}/withdraw", action: account.ActApplicationWithdraw, subject: applicationSubject, handle: o.step("done.withdrawn", o.withdraw)},
		{pattern: "POST /applications/{id}/report", action: account.ActApplicationWithdraw, subject: applicationSubject, handle: o.step("done.reported", o.report)},

		// The gate.
		{pattern: "GET /gate", action: account.ActGateView, subject: gateSubject, handle: o.gatePage},
		{pattern: "GET /gate/class/{class}", action: account.ActClassView, subject: classSubject, handle: o.rollPage},
		{pattern: "POST /gate/class/{class}/mark", action: account.ActClassMark, subject: classSubject, handle: o.putMark},
		{pattern: "GET /events/gate", action: account.ActGateView, subject: gateSubject, handle: o.liveGate, stream: true},

		// The access log.
		{pattern: "GET /log", action: account.ActLogSearch, subject: anything, handle: o.logPage},
		{pattern: "POST /log/export", action: account.ActLogExport, subject: anything, handle: o.exportLog},
		{pattern: "GET /log/{seq}", action: account.ActLogProof, subject: anything, handle: o.entryPage},
		{pattern: "GET /log/{seq}/proof", action: account.ActLogProof, subject: anything, handle: o.proof},

		// Running the box.
		{pattern: "GET /cameras", action: account.ActCamerasView, subject: anything, handle: o.camerasPage},
		{pattern: "GET /cameras/new", action: account.ActCamerasEdit, subject: anything, handle: o.newCameraPage},
		{pattern: "POST /cameras/new", action: account.ActCamerasEdit, subject: anything, handle: o.putCamera},
		{pattern: "GET /cameras/{id}", action: account.ActCamerasEdit, subject: cameraSubject, handle: o.cameraPage},
		{pattern: "POST /cameras/{id}", action: account.ActCamerasEdit, subject: cameraSubject, handle: o.putCamera},
		{pattern: "GET /people", action: account.ActPeopleView, subject: anything, handle: o.peoplePage},
		{pattern: "GET /people/new", action: account.ActPeopleEdit, subject: somebodyNew, handle: o.newPersonPage},
		{pattern: "POST /people/new", action: account.ActPeopleEdit, subject: somebodyNew, handle: o.putPerson},
		{pattern: "GET /people/{id}", action: account.ActPeopleEdit, subject: personSubject, handle: o.personPage},
		{pattern: "POST /people/{id}", action: account.ActPeopleEdit, subject: personSubject, handle: o.putPerson},
		{pattern: "POST /people/{id}/password", action: account.ActPeopleEdit, subject: personSubject, handle: o.resetPassword},
		{pattern: "POST /people/{id}/factor", action: account.ActPeopleEdit, subject: personSubject, handle: o.resetFactor},
		{pattern: "GET /settings", action: account.ActSettings, subject: anything, handle: o.settingsPage},
		{pattern: "POST /settings", action: account.ActSettings, subject: anything, handle: o.putSettings},

		// The same as JSON, with the same permissions.
		{pattern: "GET /api/v1/status", action: account.ActStatusView, subject: anything, handle: o.apiStatus},
		{pattern: "GET /api/v1/cameras", action: account.ActCamerasView, subject: anything, handle: o.apiCameras},
		{pattern: "POST /api/v1/live", action: account.ActFootageLive, subject: liveSubject, handle: o.apiLive},
		{pattern: "GET /api/v1/ribbon", action: account.ActRibbonView, subject: anything, handle: o.apiRibbon},
		{pattern: "GET /api/v1/applications", action: account.ActApplicationList, subject: anything, handle: o.apiApplications},
		{pattern: "GET /api/v1/applications/{id}", action: account.ActApplicationView, subject: applicationSubject, handle: o.apiApplication},
		{pattern: "GET /api/v1/log", action: account.ActLogSearch, subject: anything, handle: o.apiLog},
		{pattern: "GET /api/v1/log/{seq}", action: account.ActLogProof, subject: anything, handle: o.apiEntry},
		{pattern: "GET /api/v1/gate", action: account.ActGateView, subject: gateSubject, handle: o.apiGate},
	}
}
