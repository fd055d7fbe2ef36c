package safetensors

// Dtype is the type of a tensor's elements, by the format's name.
type Dtype string

// The floating-point types, which this package converts.
const (
	F64  Dtype = "F64"
	F32  Dtype = "F32"
	F16  Dtype = "F16"
	BF16 Dtype = "BF16"
)

// The integer types, which can be read as bytes ([File.Bytes]).
const (
	I64 Dtype = "I64"
	I32 Dtype = "I32"
)

// sizes in bytes of all types of the format whose elements are whole bytes.
var sizes = map[Dtype]int{
	F64: 8, I64: 8, "U64": 8, "C64": 8,
	F32: 4, I32: 4, "U32": 4,
	F16: 2, BF16: 2, "I16": 2, "U16": 2,
	"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}

// Size is the number of bytes of an element, 0 for a type that is not known.
func (d Dtype) Size() int { return sizes[d] }

// IsFloat reports whether d is one of F64, F32, F16 and BF16.
func (d Dtype) IsFloat() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }
