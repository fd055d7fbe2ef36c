package checkpoint

import (
	"path/filepath"

	"github.com/pkg/errors"
)

// Latest opens the newest whole checkpoint of the store in the folder dir, as
// [Store.Latest] does. It only reads, so it may look at a run that another
// process is training.
func Latest(dir string) (saved *Saved, damaged []error, err error) {
	return (&Store{dir: dir}).Latest()
}

// Best opens the checkpoint that was saved as the best ([Snapshot.Best]) in the
// folder dir. Like [Latest] it only reads. It fails with ErrNone if none was,
// and with ErrCorrupt if that one is not whole: there is no second best.
func Best(dir string) (*Saved, error) {
	e, ok := (&Store{dir: dir}).pointed(bestFile)
	if !ok {
		return nil, errors.Wrapf(ErrNone, "checkpoint: %s names no best", dir)
	}
	return OpenSaved(filepath.Join(dir, e.name))
}
