// Package identify says who really made a device, from what was seen of it.
//
// The name on the box is the weakest evidence there is: it is what a company
// that resells changes first. What survives is the shape that the firmware
// leaves: how serial numbers are built, how an RTSP realm is written, which
// extensions an ONVIF answer declares.
package identify
