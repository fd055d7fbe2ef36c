package golden_test

import (
	"fmt"

	"github.com/gorget/gorget/internal/golden"
)

func ExampleOpen() {
	f, err := golden.Open("adamw")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Under("init/")["matrix"].Shape)
	// Output: [3 4]
}
