package dataset_test

import (
	"fmt"

	"github.com/gorget/gorget/dataset"
)

func Example() {
	text := "to be, or not to be: that is the question"
	chars, err := dataset.NewChars(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, err := chars.Encode(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	train, val, err := dataset.Split(dataset.Slice(ids), 0.8)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(train.Len(), "tokens to train on,", val.Len(), "to validate on")

	const B, T = 1, 6
	l, err := dataset.NewLoader(val, dataset.Config{B: B, T: T, Vocab: chars.Vocab(), Order: dataset.Sequential})
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens, targets := make([]int32, B*T), make([]int32, B*T)
	for i := range l.Len() {
		if err := l.Batch(i, 0, tokens, targets); err != nil {
			fmt.Println(err)
			return
		}
		in, _ := chars.Decode(tokens)
		fmt.Printf("%q -> %v\n", in, targets)
	}
	// Output:
	// 32 tokens to train on, 9 to validate on
	// " quest" -> [10 14 5 12 13 7]
	// "io    " -> [9 8 -100 -100 -100 -100]
}
