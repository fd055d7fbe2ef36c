package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/gorget/gorget/checkpoint/safetensors"
)

func Example() {
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Tensor{
		{Name: "weight", Dtype: safetensors.BF16, Shape: []int{2, 2}, F32: []float32{1, 0.5, -2, 3.14159}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.New(bytes.NewReader(file.Bytes()), int64(file.Len()), "memory")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, info := range f.Tensors() {
		x := make([]float32, info.Len())
		if err := safetensors.Read(f, info.Name, 0, x); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info, x)
	}
	// Output: weight BF16 [2 2] [1 0.5 -2 3.140625]
}
