package recorder

import "campuskeep/firmware/fmp4"

// stream is what one initialisation section describes: pictures, and sound where there is any.
type stream struct {
	video fmp4.Video
	audio *fmp4.Audio
}

func (s *stream) init() ([]byte, error) { return fmp4.Init(s.video, s.audio) }
