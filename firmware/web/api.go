package web

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/openapi"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	absencepages "campuskeep/firmware/web/pages/absence"
	accountspages "campuskeep/firmware/web/pages/accounts"
	archivepages "campuskeep/firmware/web/pages/archive"
	attendancepages "campuskeep/firmware/web/pages/attendance"
	cameraspages "campuskeep/firmware/web/pages/cameras"
	emergencypages "campuskeep/firmware/web/pages/emergency"
	extractionpages "campuskeep/firmware/web/pages/extraction"
	faultspages "campuskeep/firmware/web/pages/faults"
	footagepages "campuskeep/firmware/web/pages/footage"
	homepages "campuskeep/firmware/web/pages/home"
	logpages "campuskeep/firmware/web/pages/log"
	nvrspages "campuskeep/firmware/web/pages/nvrs"
	oversightpages "campuskeep/firmware/web/pages/oversight"
	playerpages "campuskeep/firmware/web/pages/player"
	pupilspages "campuskeep/firmware/web/pages/pupils"
	readerspages "campuskeep/firmware/web/pages/readers"
	recordspages "campuskeep/firmware/web/pages/records"
	retentionpages "campuskeep/firmware/web/pages/retention"
	schoolpages "campuskeep/firmware/web/pages/school"
	shiftspages "campuskeep/firmware/web/pages/shifts"
	usagepages "campuskeep/firmware/web/pages/usage"
	absencerules "campuskeep/shared/absence"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/oversight"
	"campuskeep/shared/records"
	"campuskeep/shared/usage"
)

// health says whether the program is well; why, and what the clock is, it tells those who may see the figures.
func (o *Server) health(c *call) error {
	status, out := http.StatusOK, map[string]string{"status": "ok"}
	var err error
	if o.d.Alive != nil {
		err = o.d.Alive()
	}
	if err != nil {
		status, out["status"] = http.StatusServiceUnavailable, "failing"
	}
	if c.monitors() {
		out["clock"] = c.Now.State.String()
		if err != nil {
			out["why"] = err.Error()
		}
	}
	return c.JSON(status, out)
}

// monitors says whether the asker may see figures of the running program: this machine, or a collector with the token.
func (c *call) monitors() bool {
	if c.Address.IsLoopback() {
		return true
	}
	token, ok := strings.CutPrefix(c.R.Header.Get("Authorization"), "Bearer ")
	want := c.o.d.MetricsToken
	return ok && want != "" && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
}

// metrics answers with the figures.
func (o *Server) metrics(c *call) error {
	if o.d.Metrics == nil || !c.monitors() {
		return frame.ErrNotFound
	}
	o.d.Metrics.ServeHTTP(c.W, c.R)
	return nil
}

func (o *Server) openapi(c *call) error {
	c.W.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.Send(http.StatusOK, o.api)
	return nil
}

// endpoint says what an address of the interface answers, and what it reads.
type endpoint struct {
	summary string
	answer  any // zero value of the type
	form    any
	query   []openapi.Parameter
}

// endpoints describe every route under /api/; describe refuses a route without one.
var endpoints = map[string]endpoint{
	"GET /api/v1/openapi.json": {summary: "This document", answer: map[string]json.RawMessage{}},
	"GET /api/v1/status":       {summary: "State of the clock, the log, synchronisation, storage and deletion", answer: homepages.APIStatus{}},
	"GET /api/v1/cameras":      {summary: "The register of cameras with the state of each", answer: []cameraspages.APICamera{}},
	"GET /api/v1/cameras/{id}": {summary: "One camera with its state", answer: cameraspages.APICamera{}},
	"GET /api/v1/readers":      {summary: "The register of card readers with the state of each", answer: []readerspages.APIReader{}},
	"GET /api/v1/readers/{id}": {summary: "One card reader with its state", answer: readerspages.APIReader{}},
	"POST /api/v1/live": {summary: "Open a live viewing of a camera for an officer on shift", answer: playerpages.APIViewing{}, form: struct {
		Camera  string `json:"camera"`
		Purpose string `json:"purpose,omitempty"`
	}{}},
	"GET /api/v1/faults":            {summary: "Faults of cameras", answer: []faultspages.APIFault{}, query: []openapi.Parameter{{Name: "state", Text: "closed: those that closed in the last year; otherwise the open ones"}}},
	"GET /api/v1/violations":        {summary: "Violations of the rules: all of them for the office, one's own for everybody else", answer: []oversight.Violation{}},
	"GET /api/v1/inspections":       {summary: "Inspections, newest first; empty for those who only correct findings", answer: []oversight.Inspection{}},
	"GET /api/v1/findings":          {summary: "Findings of inspections, open ones first: all of them for the office, one's own for everybody else", answer: []oversight.Finding{}},
	"GET /api/v1/regulations":       {summary: "Versions of the rules; who has read them is shown to those who write them", answer: []oversight.Regulation{}},
	"GET /api/v1/feedback":          {summary: "What departments were asked about the use of footage, and what they replied", answer: []oversight.Feedback{}},
	"GET /api/v1/filing":            {summary: "What is to be filed with the police, what was, and how they differ", answer: oversightpages.APIFiling{}},
	"GET /api/v1/ribbon":            {summary: "Where footage is, where not and why, and what is held", answer: footagepages.APIRibbon{}},
	"GET /api/v1/applications":      {summary: "The register of footage use", answer: []usage.Application{}},
	"GET /api/v1/applications/{id}": {summary: "One application", answer: usage.Application{}},
	"GET /api/v1/extractions":       {summary: "Extractions under supervision, newest first", answer: []extractionpages.APIExtraction{}},
	"GET /api/v1/extractions/{id}":  {summary: "One extraction with its progress, its copies and its manifest", answer: extractionpages.APIExtraction{}},
	"GET /api/v1/holds":             {summary: "Holds in force, and what they cost", answer: []usagepages.APIHold{}},
	"GET /api/v1/keeping/days": {summary: "Deleted camera-days, newest first", answer: retentionpages.APIDays{}, query: []openapi.Parameter{
		{Name: "camera", Text: "id of a camera"}, {Name: "month", Text: "2006-01"}, {Name: "before", Text: "next of the page before"}}},
	"GET /api/v1/log": {summary: "Search of the access log, newest first", answer: logpages.APILog{}, query: []openapi.Parameter{
		{Name: "q", Text: "number of an entry, or words"}, {Name: "camera", Text: "id of a camera"}, {Name: "from", Text: "2006-01-02"}, {Name: "to", Text: "2006-01-02"},
		{Name: "group", Text: "group of kinds"}, {Name: "before", Text: "next of the page before"}}},
	"GET /api/v1/log/{seq}":          {summary: "One entry with the bytes that are hashed", answer: logpages.APIEntry{}},
	"GET /api/v1/pupils/{id}/record": {summary: "A pupil's page: care instructions, numbers of records, open concerns", answer: recordspages.APIPupil{}},
	"GET /api/v1/pupils/{id}/records/{section}": {summary: "The records of a section with their versions; entered in the log", answer: []recordspages.APIRecord{}, query: []openapi.Parameter{
		{Name: "purpose", Text: "code of the purpose; needed for health, family and psych"}, {Name: "note", Text: "the purpose in words; needed for other"}}},
	"GET /api/v1/doctor":             {summary: "Care instructions and health concerns, for the school doctor", answer: recordspages.APIDoctor{}},
	"GET /api/v1/concerns":           {summary: "Concerns that the asker may see", answer: []records.Concern{}, query: []openapi.Parameter{{Name: "state", Text: "closed: those that are closed; otherwise the open ones"}}},
	"GET /api/v1/concerns/{concern}": {summary: "One concern with its steps; entered in the log when it is sensitive", answer: records.Concern{}},
	"GET /api/v1/glass":              {summary: "Emergency cards that were opened: own ones, or all", answer: []records.Glass{}},
	"GET /api/v1/glass/{glass}":      {summary: "One opened emergency card, with its content while it is open", answer: recordspages.APIGlass{}},
	"GET /api/v1/records/retention":  {summary: "How long records are kept after a pupil has left, and of whom", answer: archivepages.APIRetention{}},
	"GET /api/v1/records/archive":    {summary: "Paper volumes of the archive", answer: []records.Volume{}},
	"GET /api/v1/records/letters":    {summary: "Safety letters of a class in this school year", answer: []archivepages.APILetter{}, query: []openapi.Parameter{{Name: "class", Text: "id of a class; the asker's own when absent"}}},
	"GET /api/v1/records/agreements": {summary: "Agreements on confidentiality on file", answer: []records.Agreement{}},
	"GET /api/v1/gate":               {summary: "Attendance of today by class", answer: attendancepages.APIAttendance{}},
	"GET /api/v1/absence": {summary: "Absences of a day: alarms and cases", answer: absencepages.APIAbsence{}, query: []openapi.Parameter{
		{Name: "date", Text: "2006-01-02; today when left out"}, {Name: "state", Text: "open or closed"}, {Name: "class", Text: "id of a class"}, {Name: "q", Text: "part of a name"}}},
	"GET /api/v1/sheets": {summary: "A class in a month: each pupil's days with their sums", answer: attendancepages.APISheet{}, query: []openapi.Parameter{
		{Name: "class", Text: "id of a class"}, {Name: "month", Text: "2006-01; the present one when left out"}}},
	"GET /api/v1/sheets/school":          {summary: "The school in a month, by class", answer: attendancepages.APISchool{}, query: []openapi.Parameter{{Name: "month", Text: "2006-01"}}},
	"GET /api/v1/sheets/pupil/{student}": {summary: "A pupil's days of the last months", answer: attendancepages.APIPupilSheet{}},
	"GET /api/v1/class/{class}": {summary: "A class in one period: prefilled presence, symptoms, who confirmed it", answer: attendancepages.APIClass{}, query: []openapi.Parameter{
		{Name: "date", Text: "2006-01-02; today when left out"}, {Name: "period", Text: "am, pm, l1 to l8; the present one when left out"}}},
	"GET /api/v1/illness": {summary: "Illnesses that are followed, reports of clusters, the zero report of today", answer: absencepages.APIIllnesses{}, query: []openapi.Parameter{
		{Name: "state", Text: "all: those that ended too"}, {Name: "q", Text: "part of a name or class"}}},
	"GET /api/v1/illness/rules":                    {summary: "The rules of clusters of the region", answer: absence.IllnessRules{}},
	"GET /api/v1/illness/reports/{id}":             {summary: "The report of one cluster", answer: absencerules.Report{}},
	"GET /api/v1/illness/pupil/{student}/{opened}": {summary: "One illness", answer: absencepages.APIIllness{}},
	"GET /api/v1/leave": {summary: "Requests for leave, newest first", answer: []absencepages.APILeave{}, query: []openapi.Parameter{
		{Name: "state", Text: "asked: to be approved; now: on leave now"}, {Name: "q", Text: "part of a name or class"}}},
	"GET /api/v1/leave/passes":         {summary: "Late slips and early-leave passes of today", answer: []absencepages.APIPass{}},
	"GET /api/v1/leave/{student}/{id}": {summary: "One request for leave", answer: absencepages.APILeave{}},
	"GET /api/v1/absence/calls":        {summary: "Calls to guardians that wait", answer: []absencepages.APICall{}},
	"GET /api/v1/absence/case/{id}":    {summary: "One case of absence with its steps", answer: absencepages.APICase{}},
	"GET /api/v1/people":               {summary: "Accounts with their duties", answer: []accountspages.APIPerson{}, query: []openapi.Parameter{{Name: "q", Text: "part of a name, log-in name or number"}}},

	"GET /api/v1/account":           {summary: "One's own account and open log-ins", answer: accountspages.APISelf{}},
	"GET /api/v1/people/{id}":       {summary: "One account", answer: accountspages.APIAccount{}},
	"GET /api/v1/people/duties":     {summary: "Changes of duties and credentials that wait for a second person", answer: []accountspages.APIDutyChange{}},
	"GET /api/v1/applications/mine": {summary: "One's own applications", answer: []usage.Application{}},
	"GET /api/v1/applications/availability": {summary: "What there is of the footage that an application would ask for", answer: []usagepages.APIOffer{}, query: []openapi.Parameter{
		{Name: "wanted.0.place", Text: "place of the first line; wanted.1.place of the second, up to 15"}, {Name: "wanted.0.from", Text: "2006-01-02T15:04, the school's time"}, {Name: "wanted.0.to", Text: "2006-01-02T15:04"}}},
	"GET /api/v1/clock":              {summary: "The clock, its sources, and what it did of late", answer: homepages.APIClock{}},
	"GET /api/v1/duty":               {summary: "The control room's sheet of a day", answer: shiftspages.APIDuty{}, query: []openapi.Parameter{{Name: "day", Text: "2006-01-02; today when absent"}}},
	"GET /api/v1/gate/class/{class}": {summary: "The roll of a class", answer: attendancepages.APIRoll{}, query: []openapi.Parameter{{Name: "date", Text: "2006-01-02, at most 31 days ago; today when absent"}}},
	"GET /api/v1/keeping":            {summary: "The arithmetic of the disk, and the state of deletion", answer: retentionpages.APIRetention{}},
	"GET /api/v1/keeping/report": {summary: "The retention report of a month", answer: retentionpages.APIReport{}, query: []openapi.Parameter{
		{Name: "month", Text: "2006-01; the last whole one when absent"}, {Name: "camera", Text: "id of a camera; all when absent"}, {Name: "part", Text: "sixteen cameras each, from 0"}}},
	"GET /api/v1/keeping/certificate/{camera}/{day}": {summary: "The deletion of one camera-day", answer: retentionpages.APICertificate{}},
	"GET /api/v1/live":                   {summary: "The cameras that can be watched live", answer: playerpages.APIWall{}, query: []openapi.Parameter{{Name: "group", Text: "group of cameras"}, {Name: "camera", Text: "id of a camera"}}},
	"GET /api/v1/view/{id}":              {summary: "An open viewing, and what there is of its span", answer: playerpages.APIOpenViewing{}},
	"GET /api/v1/nvrs":                   {summary: "The register of NVRs with what their last checks showed", answer: []nvrspages.APINVR{}},
	"GET /api/v1/nvrs/{id}":              {summary: "One NVR with its fetches and what depends on it", answer: nvrspages.APINVRDetail{}},
	"GET /api/v1/nvrs/{id}/access-paths": {summary: "The ways to an NVR's footage that bypass the appliance", answer: nvrspages.APIAccessPaths{}},

	"GET /api/v1/emergencies":                    {summary: "Drills and real events, the newest first", answer: []emergencypages.APIEvent{}},
	"GET /api/v1/emergencies/{id}":               {summary: "Live counts of an event", answer: emergencypages.APICounts{}},
	"GET /api/v1/emergencies/{id}/class/{class}": {summary: "A class in an event", answer: emergencypages.APIRoll{}},
	"POST /api/v1/emergencies/{id}/class/{class}": {summary: "State who of a class is safe, missing, injured or absent: m.<student> with the state, n.<student> with a note; the same batch counts once", answer: emergencypages.APIRoll{}, form: struct {
		Batch string `json:"batch"`
		Age   int    `json:"age,omitempty"`
		Done  string `json:"done,omitempty"`
		Rest  string `json:"rest,omitempty"`
	}{}},
	"GET /api/v1/plans":      {summary: "Emergency plans with their drills", answer: []emergencypages.APIPlan{}},
	"GET /api/v1/plans/{id}": {summary: "One emergency plan", answer: emergencypages.APIPlan{}},
	"GET /api/v1/patrols":    {summary: "Patrols, the latest first", answer: []rules.Patrol{}},
	"POST /api/v1/emergencies/{id}/found": {summary: "State that a pupil is with oneself", answer: emergencypages.APITaken{}, form: struct {
		Batch   string `json:"batch"`
		Student string `json:"student,omitempty"`
		Name    string `json:"name,omitempty"`
		State   string `json:"state"`
		Note    string `json:"note,omitempty"`
		Age     int    `json:"age,omitempty"`
	}{}},
	"GET /api/v1/pupils": {summary: "Pupils with class, guardians and cards", answer: pupilspages.APIPupils{}, query: []openapi.Parameter{
		{Name: "q", Text: "name, pinyin or initials, number, phone of a guardian"}, {Name: "class", Text: "id of a class"}, {Name: "state", Text: "left, all; otherwise those in school"},
		{Name: "card", Text: "has, none, lost"}, {Name: "page", Text: "number of the page"}}},
	"POST /api/v1/pupils":                   {summary: "Register a pupil", answer: pupilspages.APIPupil{}, form: pupilspages.PupilForm{}},
	"POST /api/v1/pupils/{id}/edit":         {summary: "Change a pupil's basic and family information", answer: pupilspages.APIPupil{}, form: pupilspages.PupilForm{}},
	"POST /api/v1/pupils/{id}/move":         {summary: "Move a pupil to another class from a date on, or let them leave", answer: pupilspages.APIPupil{}, form: pupilspages.MoveForm{}},
	"POST /api/v1/pupils/{id}/cards":        {summary: "Hand out a card, in place of another when it is named", answer: pupilspages.APIPupil{}, form: pupilspages.CardForm{}},
	"POST /api/v1/pupils/{id}/cards/{card}": {summary: "Report a card lost (refused at once), found, or given back", answer: pupilspages.APIPupil{}, form: pupilspages.CardChangeForm{}},
	"GET /api/v1/cards":                     {summary: "Cards that are handed out", answer: pupilspages.APICards{}, query: []openapi.Parameter{{Name: "q", Text: "name, pinyin, last digits"}, {Name: "state", Text: "good, lost, left"}, {Name: "page", Text: "number of the page"}}},
	"GET /api/v1/classes":                   {summary: "Classes with their teachers and sizes", answer: []pupilspages.APIClass{}, query: []openapi.Parameter{{Name: "q", Text: "class or teacher"}, {Name: "state", Text: "left: those that have left"}}},
	"GET /api/v1/classes/{class}":           {summary: "One class", answer: pupilspages.APIClass{}},
	"POST /api/v1/classes":                  {summary: "Register a class", answer: pupilspages.APIClass{}, form: pupilspages.ClassForm{}},
	"POST /api/v1/classes/{class}":          {summary: "Change a class and its teachers", answer: pupilspages.APIClass{}, form: pupilspages.ClassForm{}},
	"GET /api/v1/year":                      {summary: "The turn of the school year with what it would do", answer: pupilspages.APIYear{}},
	"POST /api/v1/year":                     {summary: "Keep the plan of the turn", answer: pupilspages.APIYear{}, form: pupilspages.YearForm{}},
	"POST /api/v1/year/enter":               {summary: "Enter the turn that was seen, in one act that takes effect on 1 September", answer: pupilspages.APIYear{}, form: pupilspages.TurnForm{}},
	"POST /api/v1/year/undo":                {summary: "Take the turn back before it takes effect", answer: pupilspages.APIYear{}},
	"GET /api/v1/setup/guide":               {summary: "What is still missing before the gate works", answer: schoolpages.APIGuide{}},
	"GET /api/v1/places":                    {summary: "Places", answer: []schoolpages.APIPlace{}, query: []openapi.Parameter{{Name: "q", Text: "name, kind or camera"}, {Name: "kind", Text: "code of a kind"}}},
	"GET /api/v1/places/{place}":            {summary: "One place", answer: schoolpages.APIPlace{}},
	"POST /api/v1/places":                   {summary: "Register a place", answer: schoolpages.APIPlace{}, form: schoolpages.PlaceForm{}},
	"POST /api/v1/places/{place}":           {summary: "Change a place", answer: schoolpages.APIPlace{}, form: schoolpages.PlaceForm{}},
	"GET /api/v1/calendar":                  {summary: "The school calendar with bell times", answer: schoolpages.APICalendar{}},
	"POST /api/v1/calendar":                 {summary: "Replace terms, holidays and make-up days; rows are numbered from 0 to 99", answer: schoolpages.APICalendar{}, form: schoolpages.CalendarForm{}},
	"GET /api/v1/bells":                     {summary: "The same calendar, for its bell times", answer: schoolpages.APICalendar{}},
	"POST /api/v1/bells/{set}":              {summary: "Set bell times: school, a weekday, grades-0, grades-0-friday, or a date", answer: schoolpages.APICalendar{}, form: schoolpages.BellsForm{}},
	"GET /api/v1/settings":                  {summary: "Settings of the school", answer: site.Settings{}},
}

// describe writes the OpenAPI document from the routes and the types that they answer with, so that they cannot disagree.
func describe(routes []frame.Route) ([]byte, error) {
	var list []openapi.Operation
	for _, r := range routes {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		e, ok := endpoints[r.Pattern]
		if !ok {
			return nil, fmt.Errorf("route %q is not described for the OpenAPI document", r.Pattern)
		}
		list = append(list, openapi.Operation{Method: method, Path: path, Summary: e.summary, Permission: string(r.Action), Public: r.Action == account.ActPublic,
			Query: e.query, Form: e.form, Answer: e.answer})
	}
	return openapi.Document(openapi.Info{Title: "Campuskeep appliance", Version: "1", Cookie: frame.CookieName, Fault: frame.APIRefusal{}}, list)
}
