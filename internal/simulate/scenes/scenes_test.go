package scenes_test

import (
	"io/fs"
	"testing"

	"github.com/watchward/watchward/internal/simulate/scenes"
)

func TestMediaStaysSmall(t *testing.T) {
	total := int64(0)
	err := fs.WalkDir(scenes.Media, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		total += i.Size()
		return err
	})
	if err != nil || total == 0 || total >= 8<<20 {
		t.Errorf("the scenes take %d bytes (%v), want less than 8 MB", total, err)
	}
}
