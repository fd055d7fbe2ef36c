package atomicfile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gorget/gorget/internal/atomicfile"
)

// Whoever opens the file finds the old content or the new, whenever that is.
func Example() {
	dir, err := os.MkdirTemp("", "atomicfile")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "LATEST")
	show := func(when string) {
		content, _ := os.ReadFile(path)
		fmt.Printf("%s: %q\n", when, content)
	}
	_ = atomicfile.Write(path, []byte("step-1"))
	f, err := atomicfile.Create(path)
	if err != nil {
		panic(err)
	}
	defer f.Abort()
	fmt.Fprint(f, "step-2")
	show("written")
	if err := f.Commit(); err != nil {
		panic(err)
	}
	show("committed")
	// Output:
	// written: "step-1"
	// committed: "step-2"
}
