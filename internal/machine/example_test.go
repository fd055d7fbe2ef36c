package machine_test

import (
	"fmt"

	"github.com/gorget/gorget/internal/machine"
)

// A copy tells the speed of memory: bytes read and written, by the time taken.
func Example() {
	src, dst := []float32{1, 2, 3}, make([]float32, 3)
	machine.Copy(dst, src)
	fmt.Println(dst)
	// Output: [1 2 3]
}
