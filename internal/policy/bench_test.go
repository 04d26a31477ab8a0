package policy

import "testing"

func BenchmarkJudge(b *testing.B) {
	c := loaded(b)
	cs := of("hikvision", deployed(2020, 1, 1))
	b.ReportAllocs()
	for b.Loop() {
		c.Judge(cs)
	}
}

func BenchmarkCached(b *testing.B) {
	c := loaded(b).NewCache()
	cs := of("hikvision", deployed(2020, 1, 1))
	b.ReportAllocs()
	for b.Loop() {
		c.Judge(cs)
	}
}
