CREATE TABLE `other_charsets` (
  `id` int NOT NULL,
  `a` varchar(20) CHARACTER SET cp1251 COLLATE cp1251_general_ci DEFAULT NULL,
  `b` varchar(20) CHARACTER SET ucs2 COLLATE ucs2_general_ci DEFAULT NULL,
  `c` varchar(20) CHARACTER SET utf16 COLLATE utf16_general_ci DEFAULT NULL,
  `d` varchar(20) CHARACTER SET koi8r COLLATE koi8r_general_ci DEFAULT NULL,
  `e` char(3) CHARACTER SET ascii COLLATE ascii_general_ci DEFAULT NULL,
  `f` varchar(9) CHARACTER SET utf32 COLLATE utf32_general_ci DEFAULT NULL,
  `g` varchar(10) CHARACTER SET big5 COLLATE big5_bin DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
