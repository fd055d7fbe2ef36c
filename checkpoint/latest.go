package checkpoint

// Latest opens the newest whole checkpoint of the store in the folder dir, as
// [Store.Latest] does. It only reads, so it may look at a run that another
// process is training.
func Latest(dir string) (saved *Saved, damaged []error, err error) {
	return (&Store{dir: dir}).Latest()
}
